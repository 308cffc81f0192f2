"""Walk the records of an MCAP file that may end anywhere; only whole ones are seen.

The ``mcap`` library parses the records; the framing is done here because its stream
reader takes a short read for a whole record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema

MAGIC = b"\x89MCAP0\r\n"
MAX_RECORD_BYTES = 1 << 30


@dataclass(frozen=True)
class Entry:
    """One message, metadata record or end mark; ``start`` and ``end`` are file offsets."""

    kind: int
    start: int
    end: int
    topic: str = ""
    type_name: str = ""
    log_ns: int = 0
    data: bytes = b""
    channel_id: int = 0
    metadata_name: str = ""
    metadata: dict[str, str] | None = None


def entries(path: Path) -> Iterator[Entry]:
    """Yield messages and metadata in file order, and the data's end mark if it is there.

    Stops quietly at a torn record; chunks are not looked into (we write none).

    Raises:
        ValueError: when the file does not begin as an MCAP file.
        OSError: when it cannot be read.
    """
    schemas: dict[int, str] = {}
    channels: dict[int, Channel] = {}
    for opcode, content, start, end in _frames(path):
        stream = ReadDataStream(BytesIO(content))
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            schemas[schema.id] = schema.name
        elif opcode == Opcode.CHANNEL:
            channel = Channel.read(stream)
            channels[channel.id] = channel
        elif opcode == Opcode.MESSAGE:
            channel_id, _, log_ns, _ = struct.unpack_from("<HIQQ", content)
            channel = channels[channel_id]
            type_name = schemas[channel.schema_id]
            yield Entry(opcode, start, end, channel.topic, type_name, log_ns, content[22:], channel_id)
        elif opcode == Opcode.METADATA:
            record = Metadata.read(stream)
            yield Entry(opcode, start, end, metadata_name=record.name, metadata=dict(record.metadata))
        elif opcode == Opcode.DATA_END:
            yield Entry(opcode, start, end)
            return


def _frames(path: Path) -> Iterator[tuple[int, bytes, int, int]]:
    with open(path, "rb") as file:
        head = file.read(len(MAGIC))
        if head != MAGIC[: len(head)]:
            raise ValueError(f"{path}: expected an MCAP file, got {head!r} at its start")
        start = len(MAGIC)
        while len(frame := file.read(9)) == 9:
            opcode, length = struct.unpack("<BQ", frame)
            if opcode == 0 or length > MAX_RECORD_BYTES:
                return
            content = file.read(length)
            if len(content) < length:
                return
            yield opcode, content, start, start + 9 + length
            start += 9 + length
