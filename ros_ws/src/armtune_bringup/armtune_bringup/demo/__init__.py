"""The main job: an agent, shipped or trained on demonstrations, practises through the ROS graph; measured, reported.

Every stage leaves a file that says it is done; the same command goes on where it stopped.
"""

from .job import run_demo

__all__ = ["run_demo"]
