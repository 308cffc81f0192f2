"""Models on the robot: verify, load, warm up, run. No training library is imported here."""
