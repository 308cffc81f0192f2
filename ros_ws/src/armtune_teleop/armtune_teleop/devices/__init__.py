"""Devices: whatever gives readings, names to numbers, without ROS and without waiting."""

from .base import Device, Gone, Inbox
from .opening import OPENERS, open_device

__all__ = ["OPENERS", "Device", "Gone", "Inbox", "open_device"]
