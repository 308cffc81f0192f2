"""From a folder of views to a camera's record: what is seen, what fits, how sure it is, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .board import BoardParams
from .coverage import Coverage, coverage
from .detect import Corners, detect
from .hand_eye import best_start
from .lens import Lens, Solved, solve_lens
from .poses import Array, inverse, to_quaternion
from .record import CameraRecord, LensRecord, PoseRecord
from .refine import ANY_SIZE, HandEye, refine
from .views import SessionParams, View

MOST_APART_S, MOST_SPEED_RAD_S = 0.05, 0.02
"""Between a picture and the arm pose that goes with it; how fast a joint may be then."""
MOST_SCALE = 0.01
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Seen:
    """What pictures show. ``left_out`` says why, by view; the others are in order."""

    names: tuple[str, ...]
    views: tuple[Corners, ...]
    arm: tuple[Array | None, ...]
    size_px: tuple[int, int]
    left_out: dict[str, str]


@dataclass(frozen=True)
class Result:
    """A calibrated camera. Without arm poses there is a lens and no hand-eye."""

    about: SessionParams
    seen: Seen
    coverage: Coverage
    solved: Solved
    lens: Lens
    hand_eye: HandEye | None = None
    start: str = ""
    """The closed-form solver that came nearest."""
    with_arm: tuple[int, ...] = ()
    """Which of ``seen`` the hand-eye was made of."""
    scale: float = 1.0
    """How large the board is by the arm's motion, of what it is said to be."""

    @property
    def record(self) -> CameraRecord:
        """What is kept of it."""
        fx, fy, cx, cy = self.lens.values[:4].tolist()
        lens = LensRecord(
            fx_px=fx, fy_px=fy, cx_px=cx, cy_px=cy, distortion=tuple(self.lens.distortion.tolist()),
            sd=tuple(self.lens.sd.tolist()), rms_px=self.lens.rms_px, views=len(self.solved.kept),
        )  # fmt: skip
        pose = None
        if self.hand_eye is not None:
            position, quaternion = to_quaternion(self.hand_eye.x)
            pose = PoseRecord(
                parent=self.about.mount,
                position_m=tuple(position.tolist()),
                quaternion_xyzw=tuple(quaternion.tolist()),
                covariance=tuple(self.hand_eye.covariance.ravel().tolist()),
                views=len(self.with_arm),
            )
        width, height = self.seen.size_px
        of: dict[str, Any] = {"name": self.about.camera, "serial": self.about.serial}
        return CameraRecord(**of, width_px=width, height_px=height, lens=lens, pose=pose)


def look(views: Sequence[View], board: BoardParams, progress: Progress = lambda *_: None) -> Seen:
    """Find the board in every picture; leave out what shows too little of it, or goes with no arm pose of its time.

    Raises:
        ValueError: when pictures are of several sizes, or show another board.
    """
    names, found, arm, left_out, sizes = list[str](), list[Corners](), list[Array | None](), dict[str, str](), set()
    for i, view in enumerate(views):
        progress("looking for the board", i + 1, len(views))
        picture = view.picture()
        sizes.add(picture.shape[1::-1])
        corners, why = detect(picture, board), _unfit(view)
        if why or not len(corners):
            left_out[view.name] = why or "the board is not seen, or too little of it"
            continue
        names.append(view.name)
        found.append(corners)
        arm.append(view.about.base_from_tool)
    if len(sizes) > 1:
        raise ValueError(f"expected pictures of one size, got {sorted(sizes)}; calibrate at the size that is used")
    if not found:
        most = Counter(left_out.values()).most_common(1)
        raise ValueError(f"no usable view among {len(views)}: {most[0][0] if most else 'the folder is empty'}")
    return Seen(tuple(names), tuple(found), tuple(arm), sizes.pop(), left_out)


def solve(about: SessionParams, seen: Seen, progress: Progress = lambda *_: None) -> Result:
    """Return the lens and, where the views have arm poses, where the camera is.

    Raises:
        ValueError: in one sentence, when the views cannot say.
    """
    board = about.board
    try:
        solved = solve_lens(seen.views, board, seen.size_px)
    except ValueError as why:
        raise ValueError(f"{why}{_why_few(seen)}") from None
    progress("the lens", 1, 1)
    covered = coverage(seen.views, board, seen.size_px)
    with_arm = tuple(i for i in solved.kept if seen.arm[i] is not None)
    if not with_arm:
        return Result(about, seen, covered, solved, solved.lens)
    poses = [arm for i in with_arm if (arm := seen.arm[i]) is not None]
    moved = poses if about.mount == "base" else [inverse(pose) for pose in poses]
    views = [seen.views[i] for i in with_arm]
    prior = _by_the_others(seen, solved, board)
    name, x, z = best_start(moved, [solved.poses[solved.kept.index(i)] for i in with_arm])
    found = refine(views, moved, board, x, z, solved.lens, prior)
    progress("where the camera is", 1, 1)
    sized = refine(views, moved, board, found.x, found.z, found.lens, prior, size_sd=ANY_SIZE)
    return Result(about, seen, covered, solved, found.lens, found, name, with_arm, sized.scale)


def scale_warning(result: Result) -> str:
    """Return what to do about a board that was printed too large or too small; blank when it was not."""
    if abs(result.scale - 1.0) <= MOST_SCALE:
        return ""
    mm = 1e3 * result.about.board.square_m
    return (
        f"by the arm's motion the board is {100 * result.scale:.1f} % of the size it is said to be: measure a square "
        f"(now {mm:g} mm, perhaps {mm * result.scale:.1f} mm) and solve again with --square-mm"
    )


def _unfit(view: View) -> str:
    about = view.about
    if not about.position_m:
        return ""
    apart_s = abs(about.image_stamp_ns - about.joints_stamp_ns) / 1e9
    if not apart_s <= MOST_APART_S:
        return (
            f"picture and arm pose are {apart_s:.3f} s apart, at most {MOST_APART_S:g} s is allowed: check that camera "
            "and arm are stamped by the same clock"
        )
    if not about.speed_rad_s <= MOST_SPEED_RAD_S:
        return f"the arm moved at {about.speed_rad_s:.2f} rad/s, at most {MOST_SPEED_RAD_S:g} is allowed: let it rest"
    return ""


def _why_few(seen: Seen) -> str:
    if not seen.left_out:
        return ""
    why, count = Counter(seen.left_out.values()).most_common(1)[0]
    return f" ({len(seen.left_out)} were left out, {count} because {why})"


def _by_the_others(seen: Seen, solved: Solved, board: BoardParams) -> Lens | None:
    """Return what views without an arm pose say of the lens; None where they are too few to say anything."""
    others = [seen.views[i] for i in solved.kept if seen.arm[i] is None]
    try:
        return solve_lens(others, board, seen.size_px).lens
    except ValueError:
        return None
