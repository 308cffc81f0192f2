"""Where a robot's cameras are and how they see, measured: boards, lenses, hand-eye, workspace, gripper, files.

Read ``record`` first (what is kept of one robot), then ``solve`` (how a folder of views becomes it).
Transforms are (4, 4) and named ``parent_from_child``; camera frames are optical: x right, y down, z ahead.
"""
