"""Thin adapters of cameras and arms; the same topics whatever is plugged in."""
