"""What is on the disk, for pages: runs, episodes, reviews, models, configs. Read by a process of its own."""
