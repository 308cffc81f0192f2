"""Intrinsics, hand-eye, workspace: solve, report, load."""
