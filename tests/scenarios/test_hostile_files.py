"""A folder of hostile files: each is refused in a sentence, runs nothing, and takes little memory and time.

A row names what is made, who reads it, and what is said. They are read in a child with limits; hostile ONNX files are
in tests/policies/runtime/test_proving.py, hostile configs in tests/bringup/test_compose.py.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from armtune_bringup.compose import read as read_config
from armtune_calibration.record import load as load_calibration
from armtune_drivers.frames import open_frames
from armtune_drivers.settings import CameraParams
from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.datasets.contract_file import Contract, read_contract
from armtune_policies.datasets.importing import import_folder
from armtune_policies.datasets.lerobot_files import LeRobotFiles
from armtune_policies.datasets.lerobot_write import export
from armtune_policies.learn.arrays import read_arrays
from armtune_policies.learn.saved import load_trajectory
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import read_frames
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.edits import read_edit
from armtune_policies.store.episode_reader import read_episode
from armtune_policies.store.files import read_json
from armtune_policies.store.labels import live_labels
from armtune_policies.store.manifest import entry, load_manifest
from armtune_policies.store.pictures import read_picture
from fixtures.confined import confined
from fixtures.episodes import made
from fixtures.tiny_models import tiny_policy, tiny_reward

pytestmark = pytest.mark.unhurried

SMALL = ObservationSpec(height_px=16, width_px=16)
BOMB_GREW_BYTES = 300 << 20
"""Far less than any of them claims; a decoder may have been loaded, too."""


@dataclass(frozen=True)
class Hostile:
    """``make(folder)`` writes it and returns what ``read`` is given; the refusal says ``says``."""

    row: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    says: str


# -- readers ---------------------------------------------------------------------------


def imported(path: Path) -> object:
    return import_folder(path, path.parent / "run", "x", contract(), SMALL)


def contract() -> Contract:
    return read_contract("robomimic")


def policy(folder: Path) -> object:
    return Policy.load(folder, ActionSpec(), SMALL)


def reward(folder: Path) -> object:
    return RewardModel.load(folder, ActionSpec(), SMALL)


def video(path: Path) -> object:
    params = CameraParams(source="video", names=("front",), paths=(str(path),), width_px=64, height_px=48)
    return next(open_frames(params, "front"))


def camera(folder: Path) -> object:
    params = CameraParams(source="files", names=("front",), paths=(str(folder),), width_px=64, height_px=48)
    return next(open_frames(params, "front"))


# -- what is made ----------------------------------------------------------------------


class _Runs:
    """What pickle would run."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.open, (str(self._marker), os.O_CREAT | os.O_WRONLY)


def written(name: str, data: Callable[[Path], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data(folder))
        return path

    return make


def pickled(folder: Path) -> bytes:
    return pickle.dumps(_Runs(folder / "ran"))


def in_model(kind: str, name: str, data: Callable[[Path], bytes]) -> Callable[[Path], Path]:
    """A model whose manifest tells the truth about the hostile file in it."""

    def make(folder: Path) -> Path:
        model = {"policy": tiny_policy, "reward": tiny_reward}[kind](folder / "model", ActionSpec(), SMALL)
        path, blob = model / "manifest.json", data(folder)
        said = json.loads(path.read_text())
        said["files"][name] = vars(entry(blob))
        if name == "encoder.onnx":
            said["encoder_digest"] = entry(blob).sha256
        path.write_text(json.dumps(said))
        (model / name).write_bytes(blob)
        return model

    return make


def lying(change: dict[str, Any]) -> Callable[[Path], Path]:
    """A model whose manifest says something else."""

    def make(folder: Path) -> Path:
        model = tiny_policy(folder / "model", ActionSpec(), SMALL)
        path = model / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        return model

    return make


def as_folder(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    return lambda folder: make(folder).parent


def tensors(head: dict[str, Any], data: bytes = b"", size: int | None = None) -> bytes:
    text = json.dumps(head).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def one(dtype: str, begin: int, end: int, shape: tuple[int, ...] = (1, 384)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def golden(**more: np.ndarray) -> Callable[[Path], bytes]:
    def data(folder: Path) -> bytes:
        from safetensors.numpy import load

        kept = load((folder / "model" / "golden.safetensors").read_bytes())
        return save({**kept, **more})

    return data


def png(width: int, height: int, size_bytes: int = 1 << 20) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(50 * size_bytes))) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    return b"\xff\xd8\xff\xe0\x00\x04ab" + frame + b"\xff\xd9"


def fifo(folder: Path) -> Path:
    model = tiny_policy(folder / "model", ActionSpec(), SMALL)
    (model / "head.onnx").unlink()
    os.mkfifo(model / "head.onnx")
    return model


def device(folder: Path) -> Path:
    model = tiny_policy(folder / "model", ActionSpec(), SMALL)
    (model / "manifest.json").unlink()
    (model / "manifest.json").symlink_to("/dev/zero")
    return model


def info(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A LeRobot folder that says what it is by something else than a file."""

    def made_of(folder: Path) -> Path:
        (folder / "set/meta").mkdir(parents=True)
        make(folder / "set/meta/info.json")
        return folder / "set"

    return made_of


def hdf5(folder: Path) -> Path:
    import h5py

    path = folder / "x.hdf5"
    with h5py.File(path, "w") as file:
        demo = file.create_group("data/demo_0")
        for key in contract().keys:
            demo.create_dataset(key, shape=(1 << 36, 7), dtype="f8", chunks=(1024, 7), compression="gzip")
        demo.create_dataset("observations", shape=(1 << 36, 7), dtype="f8", chunks=(1024, 7), compression="gzip")
    return path


def flat_hdf5(folder: Path) -> Path:
    import h5py

    with h5py.File(folder / "x.hdf5", "w") as file:
        file.create_dataset("observations", shape=(1 << 36, 7), dtype="f8", chunks=(1024, 7), compression="gzip")
    return folder / "x.hdf5"


def mcap(*records: tuple[int, int, bytes]) -> bytes:
    """Records of kind, claimed length and what there is."""
    return b"\x89MCAP0\r\n" + b"".join(struct.pack("<BQ", kind, size) + data for kind, size, data in records)


def chunk_bomb(_: Path) -> bytes:
    content = struct.pack("<QQQII", 0, 0, 1 << 40, 0, 4) + b"zstd" + struct.pack("<Q", 4) + b"abcd"
    return mcap((1, 8, bytes(8)), (6, len(content), content))


def tfrecord(_: Path) -> bytes:
    from armtune_policies.datasets.rlds import _masked

    head = struct.pack("<Q", 1 << 60)
    return head + struct.pack("<I", _masked(head))


def lerobot(change: dict[str, Any], grown: int = 0) -> Callable[[Path], Path]:
    """A folder as we write them, then its ``info.json`` changed, or its rows made many."""

    def make(folder: Path) -> Path:
        import pyarrow as pa
        import pyarrow.parquet as pq

        episode = made(steps=3, hole=None, cameras=("front",))
        root = export([(episode, live_labels(episode))], folder / "set").folder
        info = root / "meta/info.json"
        info.write_text(json.dumps(json.loads(info.read_text()) | change))
        if grown:
            block = pa.table({"index": pa.array(np.zeros(1 << 22, np.int64))})
            with pq.ParquetWriter(next(root.glob("data/*/*.parquet")), block.schema) as out:
                for _ in range(grown):
                    out.write_table(block, row_group_size=1 << 22)
        return root

    return make


def as_ours(folder: Path) -> object:
    return import_folder(folder, folder.parent / "run", "x", None, SMALL)


LAUGHS = "\n".join(["a0: &a0 [x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))])
TAG = "a: !!python/object/apply:os.system ['touch ran']"


def text(value: str) -> Callable[[Path], bytes]:
    return lambda _: value.encode()


YAML_READERS = {"config": read_config, "calibration": load_calibration, "contract": read_contract}
PICKLED: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    **{f"policy's {name}": (in_model("policy", name, pickled), policy)
       for name in ("encoder.onnx", "head.onnx", "golden.safetensors", "sentences.safetensors")},
    "reward.onnx": (in_model("reward", "reward.onnx", pickled), reward),
    "manifest.json": (as_folder(written("model/manifest.json", pickled)), load_manifest),
    **{f"{name}.yaml": (written("x.yaml", pickled), read) for name, read in YAML_READERS.items()},
    "edit": (written("edits/e.json", pickled), lambda path: read_edit(path.parent.parent, "e")),
    "episode.mcap": (written("x.mcap", pickled), read_episode),
    "frames.safetensors": (written("x.safetensors", pickled), read_frames),
    "trajectory.safetensors": (written("x.safetensors", pickled), load_trajectory),
    "arrays.hdf5": (written("x.hdf5", pickled), read_arrays),
    **{f"import of .{kind}": (written(f"x.{kind}", pickled), imported) for kind in ("hdf5", "mcap", "db3", "bag")},
    "import of .tfrecord": (as_folder(written("set/x.tfrecord", pickled)), imported),
    "import of LeRobot": (lambda folder: written("set/meta/info.json", pickled)(folder).parents[1], imported),
    **{f"picture.{kind}": (written(f"x.{kind}", pickled), read_picture) for kind in ("png", "jpg", "jpeg")},
    "camera's video.mp4": (written("x.mp4", pickled), video),
    "camera's picture": (as_folder(written("shots/x.png", pickled)), camera),
}  # fmt: skip
ROW = 384 * 4

HOSTILE: dict[str, Hostile] = {
    **{f"pickle as {name}": Hostile("F53", make, read, r"\w") for name, (make, read) in PICKLED.items()},
    "safetensors: header of eternity": Hostile(
        "F55", in_model("policy", "sentences.safetensors", lambda _: tensors({}, size=1 << 62)), policy,
        "header of at most 1048576 bytes"),
    "safetensors: header of 2 MB": Hostile(
        "F55", in_model("policy", "golden.safetensors", lambda _: tensors({"__metadata__": {"x": "y" * (2 << 20)}})),
        policy, "header of at most 1048576 bytes"),
    "safetensors: overlapping": Hostile(
        "F55", in_model("policy", "sentences.safetensors", lambda _: tensors(
            {"embeddings": one("F32", 0, ROW), "b": one("F32", 8, ROW + 8)}, bytes(ROW + 8))), policy,
        "is not a safetensors file"),
    "safetensors: shorter than it says": Hostile(
        "F55", in_model("policy", "sentences.safetensors", lambda _: tensors(
            {"embeddings": one("F32", 0, ROW)}, bytes(ROW - 1))), policy, "is not a safetensors file"),
    "safetensors: longer than it says": Hostile(
        "F55", in_model("policy", "sentences.safetensors", lambda _: tensors(
            {"embeddings": one("F32", 0, ROW)}, bytes(ROW + 1))), policy, "is not a safetensors file"),
    "safetensors: claims all memory": Hostile(
        "F55", in_model("policy", "sentences.safetensors", lambda _: tensors(
            {"embeddings": one("F32", 0, 1 << 50, (1 << 39, 512))})), policy, "is not a safetensors file"),
    "safetensors: unknown dtype": Hostile(
        "F55", in_model("policy", "sentences.safetensors", lambda _: tensors(
            {"embeddings": one("PY", 0, ROW)}, bytes(ROW))), policy, "is not a safetensors file"),
    "safetensors: dtype of another": Hostile(
        "F55", in_model("policy", "sentences.safetensors", lambda _: tensors(
            {"embeddings": one("I32", 0, 2 * ROW, (2, 384))}, bytes(2 * ROW))), policy, "expected finite float32"),
    "safetensors: one tensor more": Hostile(
        "F55", in_model("policy", "golden.safetensors", golden(evil=np.zeros(1, np.float32))), policy,
        "got 'evil', too"),
    "safetensors: not finite": Hostile(
        "F55", in_model("policy", "golden.safetensors", golden(**{"in.state": np.full((2, 7), np.nan, np.float32)})),
        policy, "in.state holds NaN"),
    **{f"YAML tag in a {name}": Hostile("F56", written("x.yaml", text(TAG)), read, "got the tag tag:yaml.org")
       for name, read in YAML_READERS.items()},
    **{f"YAML bomb in a {name}": Hostile("F56", written("x.yaml", text(LAUGHS)), read, "got an alias")
       for name, read in YAML_READERS.items()},
    **{f"YAML without end in a {name}": Hostile("F56", written("x.yaml", text("[" * 100_000)), read, "32 deep")
       for name, read in YAML_READERS.items()},
    "YAML of 2 MB": Hostile("F56", written("x.yaml", text("# " + "x" * (2 << 20))), read_config, "at most 1048576"),
    "JSON without end": Hostile("F56", written("x.json", text("[" * 1_000_000)), read_json, "expected JSON"),
    "manifest names a file elsewhere": Hostile(
        "F57", lying({"files": {"../../etc/passwd": {"sha256": "", "size_bytes": 1}}}), policy, "must list"),
    "manifest lies about a size": Hostile(
        "F57", lying({"files": {n: {"sha256": "0" * 64, "size_bytes": 1 << 50} for n in
                                ("encoder.onnx", "head.onnx", "golden.safetensors", "sentences.safetensors")},
                      "encoder_digest": "0" * 64}), policy, "cut short: expected 1125899906842624 bytes"),
    "manifest with a name of its own": Hostile("F57", lying({"name": "../x"}), policy, "model name"),
    "model file that is a pipe": Hostile("F57", fifo, policy, "expected a plain file"),
    "manifest that is a device": Hostile("F57", device, policy, "expected a plain file"),
    "LeRobot folder whose info is a pipe": Hostile("F57", info(os.mkfifo), LeRobotFiles, "expected a plain file"),
    "LeRobot folder whose info is a device": Hostile(
        "F57", info(lambda path: path.symlink_to("/dev/zero")), LeRobotFiles, "expected a plain file"),
    "LeRobot path that leaves the folder": Hostile(
        "F57", lerobot({"data_path": "../../{chunk_index}/{file_index}"}), as_ours, "a path inside the folder"),
    "LeRobot path that asks for more": Hostile(
        "F57", lerobot({"data_path": "{chunk_index:999999999999d}"}), as_ours, "a path with"),
    "picture of 50 000 x 50 000 in 1 MB": Hostile(
        "F58", written("x.png", lambda _: png(50_000, 50_000)), read_picture, "claims 50000x50000"),
    "picture of no size": Hostile("F58", written("x.png", lambda _: png(0, 7, 1)), read_picture, "claims 0x7"),
    "JPEG of 65 535 x 65 535": Hostile(
        "F58", written("x.jpg", lambda _: jpeg(65535, 65535)), read_picture, "claims 65535x65535"),
    "JPEG that ends": Hostile("F58", written("x.jpg", lambda _: jpeg(64, 64)), read_picture, "no whole JPEG"),
    "picture of another format": Hostile("F58", written("x.png", text("II*\0")), read_picture, "no JPEG or PNG"),
    "camera's picture that is a bomb": Hostile(
        "F58", as_folder(written("shots/x.png", lambda _: png(50_000, 50_000, 100))), camera, "not an image"),
    "HDF5 that claims 4 TB": Hostile("F58", hdf5, imported, "a claim of"),
    "HDF5 arrays that claim 4 TB": Hostile("F58", flat_hdf5, read_arrays, "a claim of"),
    "parquet that grows": Hostile("F58", lerobot({}, grown=10), as_ours, "a claim of"),
    "TFRecord of 2^60 bytes": Hostile(
        "F58", as_folder(written("set/x.tfrecord", tfrecord)), imported, "bytes with their checksum"),
    "message that claims 500 MB": Hostile(
        "F58", written("x.mcap", lambda _: mcap((5, 500_000_000, b"short"))), read_episode, "expected an episode file"),
    "bag whose chunk claims 1 TB": Hostile("F58", written("x.mcap", chunk_bomb), imported, "a claim of 1099511627776"),
}  # fmt: skip


def cases() -> list[Any]:
    marks = {
        "F53": pytest.mark.fault("F53"), "F55": pytest.mark.fault("F55"), "F56": pytest.mark.fault("F56"),
        "F57": pytest.mark.fault("F57"), "F58": pytest.mark.fault("F58"),
    }  # fmt: skip
    return [pytest.param(name, id=name, marks=marks[one.row]) for name, one in HOSTILE.items()]


@pytest.mark.parametrize("name", cases())
def test_hostile_file_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    row = HOSTILE[name]
    given = row.make(tmp_path)
    ended = confined(lambda: row.read(given))
    assert {"ValueError", "OSError"} & set(ended.kinds), f"{ended.kinds[:1]}: {ended.text}\n{ended.trace}"
    assert re.search(row.says, ended.text), ended.text
    assert "\n" not in ended.text and len(ended.text) < 1000, ended.text
    assert ended.grew_bytes < BOMB_GREW_BYTES, f"{ended.grew_bytes >> 20} MB"
    assert not (tmp_path / "ran").exists() and not Path("ran").exists()
