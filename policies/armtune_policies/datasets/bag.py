"""A rosbag2 of someone else's robot (MCAP or sqlite3, by ``rosbags``), brought onto a grid of steps.

Keys are ``/topic:field.path``: ``/tool_pose:pose.position``, ``/joint_states:position``, and one
joint of a JointState by its name: ``/joint_states:position[finger]``. At each step counts the newest
message of each topic that had been there by then, by its header's stamp where it has one, else by
when the bag heard it; where one is older than ``max_age_s`` the episode ends, and another begins when
all are fresh again. A single stamp that does not fit is left out; where a clock was set the episode
ends, too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.store import pictures
from armtune_policies.store.errors import BadData, needs

from .contract_file import Contract
from .foreign import Frames, RawEpisode
from .room import check_chunks

Stamps = npt.NDArray[np.int64]
Heard = dict[str, tuple[list[int], list[int]]]
"""By topic: when the bag heard each message, and its stamp [ns]."""
LEAST_STEPS = 2
JOINTED = ("position", "velocity", "effort")
JOINT = re.compile(rf"({'|'.join(JOINTED)})\[(.+)\]")
"""A field of JointState, of one joint."""


def is_bag(path: Path) -> bool:
    """Return whether this is a bag: a folder with ``metadata.yaml``, or a file of it."""
    return (path / "metadata.yaml").is_file() or (path.is_file() and path.suffix in (".mcap", ".db3", ".bag"))


class Bag:
    """One bag; read twice, so that no more pictures are in memory than an episode's."""

    def __init__(self, path: Path, contract: Contract) -> None:
        needs("a bag", "rosbags")
        for file in [Path(path)] if Path(path).is_file() else sorted(Path(path).glob("*.mcap")):
            if file.suffix == ".mcap":
                check_chunks(file)
        self.path, self.contract, self.source, self.left_out = Path(path), contract, str(path), 0

    def episodes(self, first: int = 0) -> Iterator[RawEpisode]:
        heard, numbers = self._scan()
        pieces = [piece for era in self._eras(heard) for piece in self._pieces(era)]
        wanted = (max(max(h) for h, _ in heard.values()) - min(min(h) for h, _ in heard.values())) / 1e9
        self.left_out = max(int(wanted * self.contract.rate_hz) + 1 - sum(len(grid) for grid, _ in pieces), 0)
        if not pieces:
            age = f"messages of all topics within {self.contract.max_age_s:g} s of each other"
            raise BadData(self.source, "stamps", age, "no such stretch; see max_age_s")
        for index, (grid, at) in enumerate(pieces[first:], first):
            arrays = {key: np.stack([rows[k] for k in at[key.partition(":")[0]]]) for key, rows in numbers.items()}
            shown = self._pictures({topic: at[topic] for topic in self.contract.images.values()})
            yield RawEpisode(f"{self.path} stretch {index}", arrays, shown, grid)

    def _eras(self, heard: Heard) -> list[dict[str, tuple[Stamps, Stamps]]]:
        """Return the times between which no clock was set: by topic the stamps, rising, and which messages have them.

        A topic's own clock is set, too, where it says another time than before; single stamps that do not fit are
        left out.
        """
        most_ns = round(self.contract.max_age_s * 1e9)
        fitting = {topic: _fitting(*found, most_ns) for topic, found in heard.items()}
        cuts = np.unique(np.concatenate([np.asarray(heard[t][0])[places[cut]] for t, (places, cut) in fitting.items()]))
        eras: list[dict[str, tuple[Stamps, Stamps]]] = [{} for _ in range(len(cuts) + 1)]
        for topic, (places, _) in fitting.items():
            of = np.searchsorted(cuts, np.asarray(heard[topic][0])[places], side="right")
            for number, era in enumerate(eras):
                mine = places[of == number]
                stamps = np.asarray(heard[topic][1], np.int64)[mine]
                order = np.argsort(stamps, kind="stable")
                era[topic] = stamps[order], mine[order]
        return [era for era in eras if all(len(stamps) for stamps, _ in era.values())]

    def _pieces(self, era: dict[str, tuple[Stamps, Stamps]]) -> Iterator[tuple[Stamps, dict[str, Stamps]]]:
        """Give the stretches of steps at which every topic is fresh, and each topic's messages there."""
        grid = self._grid({topic: stamps for topic, (stamps, _) in era.items()})
        at = {topic: np.searchsorted(stamps, grid, side="right") - 1 for topic, (stamps, _) in era.items()}
        fresh = np.ones(len(grid), bool)
        for topic, place in at.items():
            age_ns = grid - era[topic][0][np.maximum(place, 0)]
            fresh &= (place >= 0) & (age_ns <= self.contract.max_age_s * 1e9)
        for piece in _stretches(fresh):
            if len(piece) >= LEAST_STEPS:
                yield grid[piece], {topic: era[topic][1][place[piece]] for topic, place in at.items()}

    def _scan(self) -> tuple[Heard, dict[str, list[npt.NDArray[np.float64]]]]:
        """Return when each topic's messages were heard, their stamps, and the numbers of each key."""
        keys = {key: key.partition(":")[::2] for key in self.contract.keys}
        if bare := [key for key, (_, path) in keys.items() if not path]:
            raise BadData(self.source, bare[0], "/topic:field.path", "no field")
        heard: Heard = defaultdict(lambda: ([], []))
        joints: dict[str, list[str]] = {}
        numbers: dict[str, list[npt.NDArray[np.float64]]] = {key: [] for key in keys}
        wanted = {topic for topic, _ in keys.values()} | set(self.contract.images.values())
        for topic, message, heard_ns in self._messages(wanted):
            paths = {key: path for key, (of, path) in keys.items() if of == topic}
            if not _has_joints(message, paths.values()):
                continue  # of another arm on the same topic
            if any(path in JOINTED for path in paths.values()) and hasattr(message, "name"):
                names = joints.setdefault(topic, list(message.name))
                if names != list(message.name):
                    got = f"{', '.join(message.name)} after {', '.join(names)}; write `joint: NAME` in the contract"
                    raise BadData(f"{self.source} {topic}", "name", "the same joints in every message", got)
            heard[topic][0].append(heard_ns)
            heard[topic][1].append(_stamp_ns(message, heard_ns))
            for key, path in paths.items():
                numbers[key].append(_field(message, path, f"{self.source} {topic}"))
        if missing := sorted(topic for topic in wanted if not heard[topic][0]):
            raise BadData(self.source, missing[0], "messages on this topic", f"none; there are {self._topics()}")
        return dict(heard), numbers

    def _grid(self, stamps: dict[str, Stamps]) -> Stamps:
        begin, end = max(s[0] for s in stamps.values()), min(s[-1] for s in stamps.values())
        period_ns = 1e9 / self.contract.rate_hz
        return np.int64(begin) + np.round(np.arange(0, max(end - begin, 0) + 1, period_ns)).astype(np.int64)

    def _pictures(self, places: dict[str, npt.NDArray[np.int64]]) -> dict[str, list[Frames]]:
        """Return the pictures at some places of each image topic, by camera."""
        needed = {topic: set(place.tolist()) for topic, place in places.items()}
        made: dict[str, dict[int, Frames]] = {topic: {} for topic in places}
        count: dict[str, int] = defaultdict(int)
        for topic, message, _ in self._messages(set(places)):
            if count[topic] in needed[topic]:
                made[topic][count[topic]] = picture(message, f"{self.source} {topic}")
            count[topic] += 1
        return {
            camera: [made[topic][place] for place in places[topic].tolist()]
            for camera, topic in self.contract.images.items()
        }

    def _messages(self, topics: set[str]) -> Iterator[tuple[str, Any, int]]:
        from rosbags.highlevel import AnyReader
        from rosbags.highlevel.anyreader import AnyReaderError
        from rosbags.typesys import Stores, get_typestore

        try:
            with AnyReader([self.path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
                chosen = [c for c in reader.connections if c.topic in topics]
                for connection, heard_ns, data in reader.messages(connections=chosen) if chosen else ():
                    yield connection.topic, reader.deserialize(data, connection.msgtype), heard_ns
        except (AnyReaderError, OSError, KeyError) as why:
            raise BadData(self.source, "file", "a bag whose message types are known", why) from None

    def _topics(self) -> str:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore

        with AnyReader([self.path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            return ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in reader.connections)) or "none"


def picture(message: Any, source: str) -> Frames:
    """Return an Image or a CompressedImage as rgb8 (H, W, 3).

    Raises:
        BadData: for another message or encoding.
    """
    try:
        return pictures.rgb(message)
    except ValueError as why:
        raise BadData(source, "picture", "one that can be read", why) from None


def _stamp_ns(message: Any, heard_ns: int) -> int:
    stamp = getattr(getattr(message, "header", None), "stamp", None) or getattr(message, "stamp", None)
    found = 0 if stamp is None else int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
    return found or heard_ns


def _fitting(heard_ns: Sequence[int], stamps_ns: Sequence[int], most_ns: int) -> tuple[Stamps, npt.NDArray[np.bool_]]:
    """Return which messages have a stamp that fits those around it, and at which of them a clock was set.

    A stamp fits after another when it is not older, and not further on than the bag says it can be.
    """

    def follows(k: int, j: int) -> bool:
        return 0 <= stamps_ns[j] - stamps_ns[k] <= heard_ns[j] - heard_ns[k] + most_ns

    kept, cut = [0], [False]
    for k in range(1, len(stamps_ns)):
        fits = follows(kept[-1], k)
        if not fits and k + 1 < len(stamps_ns) and follows(kept[-1], k + 1):
            continue  # it alone
        kept.append(k)
        cut.append(not fits)
    return np.asarray(kept, np.int64), np.asarray(cut, bool)


def _has_joints(message: Any, paths: Iterable[str]) -> bool:
    """Return whether a message names every joint that is asked for."""
    wanted = {found[2] for path in paths if (found := JOINT.fullmatch(path))}
    return wanted <= set(getattr(message, "name", ()))


def _field(message: Any, path: str, source: str) -> npt.NDArray[np.float64]:
    """Return a field's numbers, those of a nested message one after the other, or those of one joint."""
    if found := JOINT.fullmatch(path):
        return _field(message, found[1], source)[[list(message.name).index(found[2])]]
    value = message
    for name in path.split("."):
        if not hasattr(value, name):
            there = ", ".join(getattr(value, "__dataclass_fields__", {})) or "none"
            raise BadData(source, path, "a field of the message", f"no {name}; there are {there}")
        value = getattr(value, name)
    return np.asarray(_flat(value), np.float64).reshape(-1)


def _flat(value: Any) -> list[float]:
    if fields := getattr(value, "__dataclass_fields__", None):
        return [number for name in fields if name != "__msgtype__" for number in _flat(getattr(value, name))]
    return list(np.asarray(value, np.float64).reshape(-1))


def _stretches(good: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """Return the runs of True as indices."""
    rows = np.flatnonzero(good)
    return [run for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(run)]
