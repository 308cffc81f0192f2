"""Whole files between a robot and a workstation over HTTP: episodes one way, heads the other."""
