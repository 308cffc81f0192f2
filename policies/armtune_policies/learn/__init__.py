"""Learning with torch; imported by the learner process and training commands only."""
