"""Is the task done? Frames to learn it from, the model that says so, the vote that believes it."""
