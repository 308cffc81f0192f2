"""Messages as CDR bytes into an MCAP file with ROS 2 schemas, by the ``mcap`` library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

from mcap.writer import Writer

from . import schemas


class Messages:
    """Appends to an open file, without chunks, so that whatever was flushed can be read after a crash.

    Args:
        file: Open for writing.
        name: Of a metadata record that says what the file is.
        metadata: What it says.
    """

    def __init__(self, file: IO[bytes], name: str, metadata: Mapping[str, str]) -> None:
        self.last_ns = 0
        """The newest log time."""
        self._channels: dict[str, int] = {}
        self._writer = Writer(file, use_chunking=False, enable_data_crcs=True)
        self._writer.start(profile="ros2", library="armtune")
        self._writer.add_metadata(name, dict(metadata))

    def channel(self, topic: str, type_name: str) -> int:
        """Return the number of a topic's channel, made when it is new."""
        if topic not in self._channels:
            text = schemas.definition(type_name).encode()
            schema = self._writer.register_schema(type_name, "ros2msg", text)
            self._channels[topic] = self._writer.register_channel(topic, "cdr", schema)
        return self._channels[topic]

    def add(self, topic: str, type_name: str, stamp_ns: int, data: bytes) -> None:
        """Append a message exactly as it came over the wire.

        ``stamp_ns`` becomes the publish time; the log time never goes back, because readers
        refuse unindexed files in which it does.
        """
        self.last_ns = max(self.last_ns, stamp_ns)
        self._writer.add_message(self.channel(topic, type_name), self.last_ns, data, stamp_ns)

    def finish(self) -> None:
        """Append what closes the file."""
        self._writer.finish()
