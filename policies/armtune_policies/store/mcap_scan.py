"""Walk the records of an MCAP file that may end anywhere; only whole ones are seen.

The ``mcap`` library parses the records; the framing is done here because its stream
reader takes a short read for a whole record.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema

MAGIC = b"\x89MCAP0\r\n"
MAX_RECORD_BYTES = 1 << 30
KNOWN = frozenset(Opcode)


@dataclass(frozen=True)
class Entry:
    """One message, metadata record or end mark; ``start`` and ``end`` are file offsets."""

    kind: int
    start: int
    end: int
    topic: str = ""
    type_name: str = ""
    schema: str = ""
    """The text of the type, as the file carries it."""
    log_ns: int = 0
    data: bytes = b""
    channel_id: int = 0
    metadata_name: str = ""
    metadata: dict[str, str] | None = None


def entries(path: Path, topics: Container[str] | None = None) -> Iterator[Entry]:
    """Yield messages and metadata in file order, and the data's end mark if it is there.

    With ``topics`` messages of others are passed over unread: pictures are most of a file.

    Stops quietly at a torn record, or one that says nonsense; chunks are not looked into (we write none).

    Raises:
        ValueError: when the file does not begin as an MCAP file.
        OSError: when it cannot be read.
    """
    schemas: dict[int, tuple[str, str]] = {}
    channels: dict[int, Channel] = {}

    def is_wanted(channel_id: int) -> bool:
        return topics is None or channel_id not in channels or channels[channel_id].topic in topics

    for opcode, content, start, end in _frames(path, is_wanted):
        try:
            entry = _entry(opcode, content, start, end, schemas, channels)
        except (McapError, KeyError, struct.error, UnicodeDecodeError):
            return
        if entry is not None:
            yield entry
        if opcode == Opcode.DATA_END:
            return


def checksums(path: Path) -> tuple[int, int]:
    """Return the CRC-32 that a whole file says of its data, 0 where it says none, and that of the data it has.

    Raises:
        ValueError: when its data do not end.
    """
    end = next((entry for entry in entries(path) if entry.kind == Opcode.DATA_END), None)
    if end is None:
        raise ValueError(f"{path}: expected the end of its data, got a torn or damaged file; salvage it")
    return struct.unpack_from("<I", end.data)[0], crc_of(path, end.start)


def crc_of(path: Path, size_bytes: int) -> int:
    """Return the CRC-32 of a file's first bytes."""
    found = 0
    with open(path, "rb") as file:
        while size_bytes and (block := file.read(min(size_bytes, 1 << 20))):
            found, size_bytes = zlib.crc32(block, found), size_bytes - len(block)
    return found


def _entry(
    opcode: int, content: bytes, start: int, end: int, schemas: dict[int, tuple[str, str]], channels: dict[int, Channel]
) -> Entry | None:
    stream = ReadDataStream(BytesIO(content))
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(stream)
        schemas[schema.id] = schema.name, schema.data.decode(errors="replace")
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(stream)
        channels[channel.id] = channel
    elif opcode == Opcode.MESSAGE:
        channel_id, _, log_ns, _ = struct.unpack_from("<HIQQ", content)
        channel = channels[channel_id]
        named = schemas[channel.schema_id]
        return Entry(opcode, start, end, channel.topic, *named, log_ns, content[22:], channel_id)
    elif opcode == Opcode.METADATA:
        record = Metadata.read(stream)
        return Entry(opcode, start, end, metadata_name=record.name, metadata=dict(record.metadata))
    elif opcode == Opcode.DATA_END:
        return Entry(opcode, start, end, data=content)
    return None


def _frames(path: Path, is_wanted: Callable[[int], bool]) -> Iterator[tuple[int, bytes, int, int]]:
    with open(path, "rb") as file:
        head = file.read(len(MAGIC))
        if head != MAGIC[: len(head)]:
            raise ValueError(f"{path}: expected an MCAP file, got {head!r} at its start")
        start, size = len(MAGIC), os.fstat(file.fileno()).st_size
        while len(frame := file.read(9)) == 9:
            opcode, length = struct.unpack("<BQ", frame)
            if opcode not in KNOWN or length > min(MAX_RECORD_BYTES, size - start - 9):
                return
            content = file.read(min(length, 2) if opcode == Opcode.MESSAGE else length)
            if opcode == Opcode.MESSAGE and len(content) == 2:
                if not is_wanted(struct.unpack("<H", content)[0]):
                    file.seek(length - 2, 1)
                    start += 9 + length
                    continue
                content += file.read(length - 2)
            if len(content) < length:
                return
            yield opcode, content, start, start + 9 + length
            start += 9 + length
