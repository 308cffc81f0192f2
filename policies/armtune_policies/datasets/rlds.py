"""RLDS datasets as TFDS writes them (Bridge V2, DROID, Open X-Embodiment): TFRecord files, without TensorFlow.

A record is one episode as a ``tf.train.Example``: each feature of a step is one flat list over all
steps, ``steps/observation/image_0``, ``steps/action``. The framing is read here because checksums
count: the ``tfrecord`` package, whose message classes are used, skips them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.store.errors import BadData, needs

from .contract_file import Contract
from .foreign import RawEpisode, decode_picture

STEPS = "steps/"
LAST = "steps/is_last"


def is_rlds(path: Path) -> bool:
    """Return whether a folder holds TFRecord files."""
    return path.is_dir() and any(path.glob("*.tfrecord*"))


class Rlds:
    """A folder of TFRecord files, one split of a TFDS dataset."""

    def __init__(self, path: Path, contract: Contract) -> None:
        needs("an RLDS dataset", "tfrecord", "crc32c")
        self.path, self.contract, self.source, self.left_out = Path(path), contract, str(path), 0

    def episodes(self, first: int = 0) -> Iterator[RawEpisode]:
        from tfrecord import example_pb2

        index = 0
        for file in sorted(self.path.glob("*.tfrecord*")):
            for place, record in enumerate(records(file)):
                if index >= first:
                    example = example_pb2.Example()
                    source = f"{file} episode {place}"
                    try:
                        example.ParseFromString(record)
                    except Exception as why:  # protobuf's own DecodeError moved between its versions
                        raise BadData(source, "record", "a tf.train.Example", type(why).__name__) from None
                    yield self._episode(dict(example.features.feature), source)
                index += 1

    def _episode(self, features: Mapping[str, Any], source: str) -> RawEpisode:
        values = {name: _values(feature) for name, feature in features.items()}
        count = next((len(values[key]) for key in (LAST, f"{STEPS}is_first", f"{STEPS}reward") if key in values), 0)
        if not count:
            raise BadData(source, LAST, "a value for each step", "none")
        ended = values.get(LAST, [])
        # RLDS: what stands beside the last observation means nothing; some makers flag the last real step so
        keep = count - 1 if len(ended) and ended[-1] and not _moves(values, count) else count
        arrays: dict[str, Any] = {}
        for name, value in values.items():
            if name.startswith(STEPS) and not isinstance(value, list) and len(value) and len(value) % count == 0:
                arrays[name.removeprefix(STEPS)] = value.reshape(count, -1)[:keep]
        images = {}
        for camera, key in self.contract.images.items():
            pictures = values.get(f"{STEPS}{key}")
            if not isinstance(pictures, list) or len(pictures) != count:
                there = sorted(
                    n.removeprefix(STEPS) for n, v in values.items() if isinstance(v, list) and len(v) == count
                )
                raise BadData(source, key, f"{count} pictures", f"none; there are {', '.join(there) or 'none'}")
            images[camera] = [decode_picture(data, source, key) for data in pictures[:keep]]
        said = values.get(f"{STEPS}{self.contract.sentence_key}") or values.get(self.contract.sentence_key) or [b""]
        return RawEpisode(source, arrays, images, sentence=said[0].decode("utf-8", "replace") if said else "")


def records(file: Path) -> Iterator[bytes]:
    """Give the records of a TFRecord file, their checksums compared.

    Raises:
        BadData: at the first record that is damaged or cut.
    """
    with open(file, "rb") as stream:
        place, left_bytes = 0, file.stat().st_size
        while head := stream.read(12):
            size, check = struct.unpack("<QI", head) if len(head) == 12 else (0, -1)
            if check != _masked(head[:8]):
                raise BadData(str(file), f"record {place}", "a length with its checksum", "another")
            data, tail = (stream.read(size), stream.read(4)) if size <= left_bytes else (b"", b"")
            left_bytes -= 16 + len(data)
            if len(data) < size or len(tail) < 4 or struct.unpack("<I", tail)[0] != _masked(data):
                raise BadData(str(file), f"record {place}", f"{size} bytes with their checksum", "others")
            yield data
            place += 1


def _masked(data: bytes) -> int:
    """Return TFRecord's checksum: CRC-32C, rotated and shifted (tensorflow/core/lib/hash/crc32c.h)."""
    from crc32c import crc32c

    found = crc32c(data)
    return (((found >> 15) | (found << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _values(feature: Any) -> Any:
    """Return a feature's list: bytes as a list, numbers as an array."""
    kind = feature.WhichOneof("kind")
    if kind == "bytes_list":
        return list(feature.bytes_list.value)
    return np.array(getattr(feature, kind).value) if kind else np.zeros(0)


def _moves(values: Mapping[str, Any], count: int) -> bool:
    """Whether the last step has an action of its own: makers that keep no closing observation give it one."""
    action = values.get(f"{STEPS}action")
    if action is None or isinstance(action, list) or len(action) % count:
        return True
    return bool(np.any(action.reshape(count, -1)[-1] != 0))
