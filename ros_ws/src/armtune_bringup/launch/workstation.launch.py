"""ros2 launch armtune_bringup workstation.launch.py overrides:='experiment.workstation=[policy_node] ...'"""

from launch import LaunchDescription

from armtune_bringup.actions import describe


def generate_launch_description() -> LaunchDescription:
    return describe("workstation")
