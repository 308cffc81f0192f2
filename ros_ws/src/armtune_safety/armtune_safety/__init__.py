"""The gate, the one way to the motors, and the supervisor."""
