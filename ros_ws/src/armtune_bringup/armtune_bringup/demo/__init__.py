"""The main job: demonstrate, pre-train, practise through the ROS graph, measure, report.

Every stage leaves a file that says it is done; the same command goes on where it stopped.
"""

from .job import run_demo

__all__ = ["run_demo"]
