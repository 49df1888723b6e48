"""One UDP socket for all participants of all calls, with batches in and out (Linux).

Each participant has an address of its own in 10.77.0.0/17, local to the benchmark's namespace. It
is the source of what it sends by IP_PKTINFO (ip(7)), and the same option tells on receipt who a
packet is for. So 600 participants need one system call for many packets, and nothing in Python for
each packet.
"""

from __future__ import annotations

import mmap
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cffi

_IP_PKTINFO = 8
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_BUFFER_BYTES = 64 << 20
_MSG_DONTWAIT = 0x40
_PR_SET_TIMERSLACK = 29
_NET = bytes((10, 77))
SERVER_ADDRESS = "10.77.255.1"

SLOTS = 256
_HEAD_BYTES, _REST_BYTES, _CONTROL_BYTES = 16, 2_032, 64

_PKTINFO = struct.Struct("=i4s4s")
_CONTROL = struct.Struct("=Qii i4s4s 4x".replace(" ", ""))
_MESSAGE = struct.Struct("=QI4xQQQQi4xI4x")  # struct mmsghdr, 64 bits
_IOVEC = struct.Struct("=QQ")
_NAME = struct.Struct("=HH4s8x")

ffi = cffi.FFI()
ffi.cdef("""
    int sendmmsg(int fd, void *messages, unsigned int count, int flags);
    int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout);
    int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
""")
libc = ffi.dlopen(None)


def address_of(participant: int) -> str:
    """The address that a participant sends from."""
    return f"10.77.{participant >> 8}.{participant & 255}"


def exact_sleeps() -> None:
    """Let this process wake when it asked to, not up to 50 µs later."""
    libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


class Memory:
    """Zeroed memory that the kernel reads and writes: `data` to fill it, `address` of it."""

    def __init__(self, size: int) -> None:
        self.data = mmap.mmap(-1, max(size, mmap.PAGESIZE))
        self.pointer = ffi.from_buffer("char[]", self.data, require_writable=True)
        self.address = int(ffi.cast("uintptr_t", self.pointer))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet that is no plain media: for `participant`, from `source`."""

    participant: int
    source: tuple[str, int]
    data: bytes


class Wire:
    """The socket, for single datagrams. `port` is the same for all participants."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for forced, option in (
            (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
            (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
        ):
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, forced, _BUFFER_BYTES)
            except PermissionError:
                self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        self.socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self.socket.bind(("0.0.0.0", 0))
        self.port: int = self.socket.getsockname()[1]

    def send(self, participant: int, data: bytes, to: tuple[str, int]) -> None:
        """Send one datagram from a participant's address."""
        info = _PKTINFO.pack(0, socket.inet_aton(address_of(participant)), bytes(4))
        self.socket.sendmsg([data], [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, to)

    def receive(self, timeout_s: float) -> Iterator[Arrival]:
        """What has come by now, and if nothing has, what comes first within `timeout_s`."""
        self.socket.settimeout(timeout_s)
        while True:
            try:
                data, control, _, source = self.socket.recvmsg(2_048, 256)
            except (TimeoutError, BlockingIOError):
                return
            self.socket.settimeout(0)
            for _, kind, value in control:
                if kind == _IP_PKTINFO and value[8:10] == _NET:
                    yield Arrival(value[10] << 8 | value[11], source, data)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Table:
    """Every datagram of a run, in the order of sending, ready for sendmmsg."""

    def __init__(self, count: int, size: int) -> None:
        """Room for `count` datagrams of `size` bytes together."""
        self.memory = Memory(size)
        self._messages = Memory(count * _MESSAGE.size)
        self._vectors = Memory(count * _IOVEC.size)
        self._kept: list[Memory] = []
        self._used = 0
        self._count = 0

    def route(self, participant: int, to: tuple[str, int]) -> tuple[int, int]:
        """Where the name and the control data of a participant's packets are."""
        kept = Memory(64)
        self._kept.append(kept)
        _NAME.pack_into(kept.data, 0, socket.AF_INET, socket.htons(to[1]), socket.inet_aton(to[0]))
        source = socket.inet_aton(address_of(participant))
        _CONTROL.pack_into(kept.data, 16, 28, socket.IPPROTO_IP, _IP_PKTINFO, 0, source, bytes(4))
        return kept.address, kept.address + 16

    @property
    def place(self) -> int:
        """Where in `memory` the next datagram is to be written."""
        return self._used

    def add(self, length: int, route: tuple[int, int]) -> None:
        """The datagram that was written at `place` is complete."""
        at = self._count
        vector = self._vectors.address + at * _IOVEC.size
        _IOVEC.pack_into(
            self._vectors.data, at * _IOVEC.size, self.memory.address + self._used, length
        )
        _MESSAGE.pack_into(
            self._messages.data, at * _MESSAGE.size, route[0], 16, vector, 1, route[1], 32, 0, 0
        )
        self._used += length + 15 & ~15
        self._count += 1

    def clear(self) -> None:
        """Forget what was added, to use the room again. Routes stay."""
        self._used = self._count = 0

    def sender(self, wire: Wire) -> Callable[[int, int], int]:
        """A function that sends so many datagrams from the n-th on, and says how many left."""
        fd, start, send = wire.socket.fileno(), self._messages.pointer, libc.sendmmsg
        size = _MESSAGE.size

        def send_from(first: int, count: int) -> int:
            return send(fd, start + first * size, count, _MSG_DONTWAIT)  # type: ignore[no-any-return]

        return send_from


class Reader:
    """Receives in batches and keeps of each packet its RTP header, its receiver and its time.

    Time is when the packet reached the socket, by the kernel (SO_TIMESTAMPNS): what this process
    does meanwhile does not count.
    """

    def __init__(self, wire: Wire, capacity: int) -> None:
        """Keep at most `capacity` packets; more are read and counted only."""
        wire.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        wire.socket.setblocking(False)
        self._fd = wire.socket.fileno()
        self._heads = Memory(SLOTS * _HEAD_BYTES)
        self._rests = Memory(SLOTS * _REST_BYTES)
        self._controls = Memory(SLOTS * _CONTROL_BYTES)
        self._messages = Memory(SLOTS * _MESSAGE.size)
        self._vectors = Memory(SLOTS * 2 * _IOVEC.size)
        self._head_log = Memory(capacity * _HEAD_BYTES)
        self._control_log = Memory(capacity * _CONTROL_BYTES)
        self._capacity = capacity
        self._kinds = memoryview(self._heads.data)
        self.count = 0
        self.overflow = 0
        for slot in range(SLOTS):
            self._prepare(slot)

    def _prepare(self, slot: int) -> None:
        vectors = self._vectors.address + slot * 32
        head = self._heads.address + slot * _HEAD_BYTES
        rest = self._rests.address + slot * _REST_BYTES
        _IOVEC.pack_into(self._vectors.data, slot * 32, head, 12)
        _IOVEC.pack_into(self._vectors.data, slot * 32 + 16, rest, _REST_BYTES)
        control = self._controls.address + slot * _CONTROL_BYTES
        _MESSAGE.pack_into(
            self._messages.data, slot * 64, 0, 0, vectors, 2, control, _CONTROL_BYTES, 0, 0
        )

    def read(self) -> int:
        """Read one batch without waiting; the number of packets in it."""
        got: int = libc.recvmmsg(self._fd, self._messages.pointer, SLOTS, _MSG_DONTWAIT, ffi.NULL)
        if got <= 0:
            return 0
        if self.count + got > self._capacity:
            self.overflow += got
            return got
        heads, controls = self._head_log.pointer, self._control_log.pointer
        ffi.memmove(heads + self.count * _HEAD_BYTES, self._heads.pointer, got * _HEAD_BYTES)
        ffi.memmove(
            controls + self.count * _CONTROL_BYTES, self._controls.pointer, got * _CONTROL_BYTES
        )
        self.count += got
        return got

    def kinds(self, got: int) -> bytes:
        """The second byte of each packet of the last batch."""
        return self._kinds[1 : got * _HEAD_BYTES : _HEAD_BYTES].tobytes()

    def stream(self, slot: int) -> tuple[int, int]:
        """Who a packet of the last batch is for, and its payload type."""
        at = slot * _CONTROL_BYTES
        high, low = self._controls.data[at + 58 : at + 60]
        return high << 8 | low, self._heads.data[slot * _HEAD_BYTES + 1] & 0x7F

    def packet(self, slot: int) -> tuple[int, bytes]:
        """Who a packet of the last batch is for (-1: nobody of ours), and its bytes."""
        length = int.from_bytes(self._messages.data[slot * 64 + 56 : slot * 64 + 60], "little")
        head, rest = slot * _HEAD_BYTES, slot * _REST_BYTES
        data = self._heads.data[head : head + 12] + self._rests.data[rest : rest + length - 12]
        address = self._controls.data[slot * 64 + 56 : slot * 64 + 60]
        return (address[2] << 8 | address[3] if address[:2] == _NET else -1), data

    def log(self) -> Iterator[tuple[int, int, int, int]]:
        """All packets: receiver, second byte, sequence number, time of arrival (Unix, ns)."""
        heads = struct.iter_unpack(
            ">xBH12x", memoryview(self._head_log.data)[: self.count * _HEAD_BYTES]
        )
        controls = struct.iter_unpack(
            "=16xqq16x10xBB4x", memoryview(self._control_log.data)[: self.count * _CONTROL_BYTES]
        )
        for (kind, sequence), (s, ns, high, low) in zip(heads, controls, strict=True):
            yield high << 8 | low, kind, sequence, s * 1_000_000_000 + ns
