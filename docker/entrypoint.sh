#!/bin/bash
# Sources ROS and the build, then becomes the command.
set -e
source /opt/ros/jazzy/setup.bash
source /opt/armtune/setup.bash
exec "$@"
