"""Policies, rewards, learning and their files: pure Python, no ROS inside."""
