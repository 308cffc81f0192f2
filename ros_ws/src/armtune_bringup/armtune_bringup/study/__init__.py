"""The study of practice on our simulator: what cloning, offline learning, practice and its control reach, by seed."""
