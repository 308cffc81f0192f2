"""Other people's formats, to and from episode files; no ROS and no torch."""
