"""Bringing the stack up: config, the table of nodes, launch files, runner and command line."""
