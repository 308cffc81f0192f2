"""A simulated arm with the topics of a real one; also a Gymnasium environment."""
