"""Judges of success: what they look with, how they are trained, calibrated and exported."""
