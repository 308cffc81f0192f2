"""Devices to proposals."""
