"""ros2 launch armtune_bringup sim.launch.py task:=drawer"""

from launch import LaunchDescription

from armtune_bringup.actions import describe


def generate_launch_description() -> LaunchDescription:
    return describe("sim")
