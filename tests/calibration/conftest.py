from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parent))

from board_views import BOARD, Taken

from armtune_calibration.detect import detect
from armtune_calibration.poses import pose
from armtune_calibration.views import Session, SessionParams
from armtune_sim.gated import default_gate
from armtune_sim.guided import GuidedArm


@pytest.fixture(scope="session")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """Thirteen pictures of the board in the simulated arm's hand, each pose reached through the gate."""
    folder, gate = tmp_path_factory.mktemp("views"), default_gate()
    arm = GuidedArm(gate, BOARD, "base", "front")
    about = SessionParams(camera="front", serial="A1", robot="wx250s", mount="base", board=BOARD)
    session = Session(folder, about)
    seen = (shot for shot in arm.shots(60, np.random.default_rng(3)) if len(detect(shot.picture, BOARD)))
    for shot in itertools.islice(seen, 13):
        p, r = arm.gated.kinematics.tool_pose(shot.joints)
        session.add(shot.picture, shot.stamp_ns, shot.stamp_ns, 0.0, pose(p, Rotation.from_matrix(r)))
    found = Taken(folder, about, arm.truth(), arm.gated.world.focal_px("front"))
    arm.close()
    return found
