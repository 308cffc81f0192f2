"""A servo bus through its maker's SDK: bounded waits, all servos in one packet, each error with its servo."""

from __future__ import annotations

import contextlib
import termios
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeVar

from .base import ArmFault

T = TypeVar("T")
_TRIES, _LATE, _ONE_REGISTER = 3, 5.0, 4
"""After a lost answer, questions for one register wait so many times its bound: their answers look alike, and a late
one must not pass for the next. Joint states are as long as nothing else, and one that is a round late does no harm."""
_SUCCESS = 0  # COMM_SUCCESS of both SDKs


class Register(NamedTuple):
    """A place in a servo's control table; numbers are little endian."""

    name: str
    address: int
    size: int


class Layout(NamedTuple):
    """Where a status packet has its parts, which bits of its error byte are of the servo's health and no refusal."""

    id: int
    error: int
    data: int
    tail: int
    timed_out: int
    extra: tuple[bool, ...]
    alert: int


class Prompt:
    """Mixed into an SDK's port: waits without spinning, on a clock that does not jump, and not 34 ms for a lost answer.

    Both SDKs add twice the 16 ms an FTDI chip may wait by default; ``docs/hardware.md`` has it set to 1 ms.
    """

    reply_s = 0.004
    _POLL_S = 0.001

    def setupPort(self, cflag_baud: int) -> bool:
        done = super().setupPort(cflag_baud)  # type: ignore[misc]
        self.ser.timeout, self.ser.exclusive = self._POLL_S, True  # type: ignore[attr-defined]
        return bool(done)

    def getCurrentTime(self) -> float:
        return time.monotonic() * 1e3

    def setPacketTimeout(self, packet_length: int) -> None:
        self.packet_start_time = self.getCurrentTime()
        self.packet_timeout = self.tx_time_per_byte * packet_length + self.reply_s * 1e3  # type: ignore[attr-defined]


class Wire:
    """One open port with servos on it.

    Args:
        port: An SDK's port handler with ``Prompt`` mixed in, not open yet.
        packets: The SDK's packet handler.

    Raises:
        ArmFault: when the port cannot be opened.
    """

    def __init__(self, port: Any, packets: Any, layout: Layout, baud: int, reply_s: float) -> None:
        self._port, self._packets, self._layout = port, packets, layout
        self.name, port.reply_s = port.port_name, reply_s
        self._quiet_s = 0.0
        if not self._bounded(lambda: port.openPort() and port.setBaudRate(baud)):
            raise ArmFault(f"{self.name}: cannot run at {baud} baud; set arm.baud to the bus's own")

    def close(self) -> None:
        with contextlib.suppress(OSError, termios.error):  # gone already
            self._port.closePort()

    def _bounded(self, work: Callable[[], T]) -> T:
        """Do it; a port that is gone or not ours is a fault with a way to mend it."""
        try:
            return work()
        except PermissionError:
            raise ArmFault(f"{self.name}: no permission; add your user to group `dialout`, log in again") from None
        except (OSError, termios.error) as why:
            raise ArmFault(f"{self.name}: the bus is unplugged, off or in use by another program ({why})") from None
        finally:
            self._port.is_using = False

    def ping(self, number: int) -> bool:
        """True if this servo answers."""
        return any(self._bounded(lambda: self._packets.ping(self._port, number))[1] == _SUCCESS for _ in range(_TRIES))

    def read(self, number: int, register: Register) -> int:
        """Return a register of one servo, unsigned.

        Raises:
            ArmFault: when it does not answer, or refuses.
        """
        ask = (self._port, number, register.address, register.size)
        what = f"id {number}: {register.name}({register.address}) cannot be read"
        data = self._tried(number, register.size, what, lambda: self._packets.readTx(*ask))
        return int.from_bytes(data, "little")

    def write(self, number: int, register: Register, value: int) -> None:
        """Write a register of one servo; negative numbers as two's complement.

        Raises:
            ArmFault: when it does not answer, or refuses.
        """
        ask = (self._port, number, register.address, register.size, _little(value, register.size))
        what = f"id {number}: {register.name}({register.address}) cannot be set to {value}"
        self._tried(number, 0, what, lambda: self._packets.writeTxOnly(*ask))

    def reboot(self, number: int) -> None:
        self._bounded(lambda: self._packets.reboot(self._port, number))

    def sync_write(self, register: Register, values: Mapping[int, int]) -> None:
        """Write a register of many servos by one packet; nobody answers."""
        body = [byte for number, value in values.items() for byte in (number, *_little(value, register.size))]
        args = (self._port, register.address, register.size, body, len(body))
        self._bounded(lambda: self._packets.syncWriteTxOnly(*args))

    def sync_read(self, register: Register, numbers: Collection[int]) -> dict[int, tuple[int, bytes]]:
        """Return error byte and data of those servos that answered, asked by one packet.

        The SDKs' own group read gives up at the first that is silent and drops the error bytes.
        """
        port, ids, extra = self._port, list(numbers), self._layout.extra
        ask = (port, register.address, register.size, ids, len(ids), *extra)
        return self._bounded(lambda: self._asked(ids, register.size, lambda: self._packets.syncReadTx(*ask)))

    def _tried(self, number: int, size: int, what: str, ask: Callable[[], int]) -> bytes:
        """The first answer of a few tries; an alert is no refusal, the caller looks after it."""
        for _ in range(_TRIES):
            found = self._bounded(lambda: self._asked([number], size, ask))
            if number in found:
                error, data = found[number]
                if refused := error & ~self._layout.alert:
                    raise ArmFault(f"{what}: {self._packets.getRxPacketError(refused)}")
                return data
        raise ArmFault(f"{what}: it does not answer")

    def _asked(self, numbers: list[int], size: int, ask: Callable[[], int]) -> dict[int, tuple[int, bytes]]:
        """Ask, then take answers of exactly the size asked for: one that comes late must not pass for the next."""
        layout, port = self._layout, self._port
        if size <= _ONE_REGISTER:
            time.sleep(max(0.0, self._quiet_s - time.monotonic()))
        if ask() != _SUCCESS:
            return {}
        port.setPacketTimeout((layout.data + size + layout.tail) * len(numbers))
        found: dict[int, tuple[int, bytes]] = {}
        while len(found) < len(numbers):
            packet, result = self._packets.rxPacket(port, *layout.extra)
            if result == layout.timed_out:
                self._quiet_s = time.monotonic() + _LATE * port.reply_s
                break
            whole = result == _SUCCESS and len(packet) == layout.data + size + layout.tail
            if whole and packet[layout.id] in numbers:
                found[packet[layout.id]] = (packet[layout.error], bytes(packet[layout.data : layout.data + size]))
        return found


def _little(value: int, size: int) -> list[int]:
    """Bytes of a number, lowest first; negative ones as two's complement."""
    return list((value & (1 << 8 * size) - 1).to_bytes(size, "little"))
