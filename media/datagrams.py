"""Many datagrams with one system call: recvmmsg(2) and sendmmsg(2).

A system call for each packet, with its address as Python objects, was a third of the cost of
forwarding one. Here a batch shares a call, and addresses stay the bytes that the kernel gave: they
name a path as they are, and go back to the kernel as they are.
"""

import errno
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from cffi import FFI

from media.counters import MediaCounters
from media.dtls import PacketBuffer

MAX_BATCH: Final = 64
"""Datagrams read or sent at once."""

_ffi: Final = FFI()
_ffi.cdef(
    """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr {
        void *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
        void *msg_control; size_t msg_controllen; int msg_flags;
    };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned vlen, int flags, void *timeout);
    int sendmmsg(int sockfd, struct mmsghdr *msgvec, unsigned vlen, int flags);
    """
)
_libc: Final[Any] = _ffi.dlopen(None)

# The packet path writes lengths and addresses as 64-bit words: a tenth of what fields cost.
_MESSAGE_WORDS: Final = _ffi.sizeof("struct mmsghdr") // 8
_PART_WORDS: Final = _ffi.sizeof("struct iovec") // 8
_LENGTH_INDEX: Final = _ffi.offsetof("struct mmsghdr", "msg_len") // 4
_MESSAGE_U32S: Final = 2 * _MESSAGE_WORDS

_NAME_BYTES: Final = 32  # room for a sockaddr_in6, which has 28
_SOCKADDR_BYTES: Final = {socket.AF_INET: 16, socket.AF_INET6: 28}
_KEY_BYTES: Final = {socket.AF_INET: 8, socket.AF_INET6: 28}  # sockaddr_in ends with padding


class Destination:
    """Where datagrams go: a socket address in the kernel's form, at a fixed place in memory.

    Attributes:
        key: The bytes that `Inbox.receive` gives for datagrams from there.
        raw: (host, port), as for `socket.sendto`.
        pointer: For `Outbox.add`.
    """

    __slots__ = ("_sockaddr", "key", "pointer", "raw")

    def __init__(self, key: bytes) -> None:
        self.key = key
        (family,) = struct.unpack_from("=H", key)
        (port,) = struct.unpack_from("!H", key, 2)
        packed = key[4:8] if family == socket.AF_INET else key[8:24]
        host = socket.inet_ntop(family, packed)
        if family == socket.AF_INET6 and (zone := struct.unpack_from("=I", key, 24)[0]):
            host = f"{host}%{zone}"  # link-local: the address alone does not say by which interface
        self.raw = (host, port)
        self._sockaddr = _ffi.new("char[]", key.ljust(_SOCKADDR_BYTES[family], b"\0"))
        self.pointer = int(_ffi.cast("uintptr_t", self._sockaddr))


class Inbox:
    """Reads the datagrams of one socket."""

    __slots__ = ("_fd", "_key_bytes", "_lengths", "_messages", "_names", "_packets", "_parts")

    def __init__(self, udp: socket.socket) -> None:
        """`udp` must not block, and be open for as long as this is used."""
        self._fd = udp.fileno()
        self._key_bytes = _KEY_BYTES[udp.family]
        self._packets = tuple(PacketBuffer() for _ in range(MAX_BATCH))
        names = _ffi.new("char[]", _NAME_BYTES * MAX_BATCH)
        self._parts = _ffi.new("struct iovec[]", MAX_BATCH)
        self._messages = _ffi.new("struct mmsghdr[]", MAX_BATCH)
        for index, packet in enumerate(self._packets):
            part, header = self._parts[index], self._messages[index].msg_hdr
            part.iov_base = _ffi.cast("void *", packet.address)
            part.iov_len = len(packet.data)
            header.msg_name = names + _NAME_BYTES * index
            header.msg_namelen = _SOCKADDR_BYTES[udp.family]
            header.msg_iov = self._parts + index
            header.msg_iovlen = 1
        self._names = _ffi.buffer(names)
        self._lengths = memoryview(_ffi.buffer(self._messages)).cast("I")

    def receive(self) -> list[tuple[PacketBuffer, int, bytes]]:
        """Read up to `MAX_BATCH` datagrams, none when nothing is there.

        Returns:
            In order of arrival: where it lies until the next call, its length in bytes, and the key
            of its source for `Destination`. One that is longer than a buffer is cut.
        Raises:
            OSError: the socket cannot be read.
        """
        count: int = _libc.recvmmsg(self._fd, self._messages, MAX_BATCH, 0, _ffi.NULL)
        if count < 0:
            if _ffi.errno in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(_ffi.errno, "recvmmsg")
        packets, lengths, names, size = self._packets, self._lengths, self._names, self._key_bytes
        return [
            (
                packets[index],
                lengths[_MESSAGE_U32S * index + _LENGTH_INDEX],
                names[_NAME_BYTES * index : _NAME_BYTES * index + size],
            )
            for index in range(count)
        ]


class Outbox:
    """Collects datagrams to send, and sends them together.

    What was added is read at `flush`: until then its buffer and `Destination` must stay as they
    are. `add` flushes by itself when `MAX_BATCH` are waiting.
    """

    __slots__ = ("_addresses", "_count", "_counters", "_fd", "_messages", "_part_memory", "_parts")

    def __init__(self, udp: socket.socket, counters: MediaCounters) -> None:
        self._fd = udp.fileno()
        self._counters = counters
        self._count = 0
        self._part_memory = _ffi.new("struct iovec[]", MAX_BATCH)
        self._messages = _ffi.new("struct mmsghdr[]", MAX_BATCH)
        for index in range(MAX_BATCH):
            header = self._messages[index].msg_hdr
            header.msg_namelen = _SOCKADDR_BYTES[udp.family]
            header.msg_iov = self._part_memory + index
            header.msg_iovlen = 1
        self._parts = memoryview(_ffi.buffer(self._part_memory)).cast("Q")
        self._addresses = memoryview(_ffi.buffer(self._messages)).cast("Q")

    def add(self, pointer: int, packet: PacketBuffer, length: int) -> None:
        """Send the first `length` bytes of `packet` to `Destination.pointer` at the next flush."""
        count = self._count
        self._addresses[_MESSAGE_WORDS * count] = pointer
        part = _PART_WORDS * count
        self._parts[part] = packet.address
        self._parts[part + 1] = length
        self._count = count + 1
        if count == MAX_BATCH - 1:
            self.flush()

    def flush(self) -> None:
        """Send all that waits. What the kernel does not take at once is lost and counted."""
        count, sent = self._count, 0
        self._count = 0
        while sent < count:
            done: int = _libc.sendmmsg(self._fd, self._messages + sent, count - sent, 0)
            if done < 0:  # the first of them was refused
                self._counters.drop("send_failed")
                done = 1
            sent += done


class Spares:
    """Buffers for copies of a packet that goes to several receivers, reused in turn.

    When all have been used the `Outbox` is emptied: copies that went another way, over TCP say,
    would else come round to one that still waits there.
    """

    __slots__ = ("_buffers", "_flush", "_next")

    def __init__(self, flush: Callable[[], None]) -> None:
        """`flush` sends what waits (`Outbox.flush`)."""
        self._buffers = tuple(PacketBuffer() for _ in range(MAX_BATCH + 1))
        self._flush = flush
        self._next = 0

    def copy(self, packet: PacketBuffer, length: int) -> PacketBuffer:
        """A copy of the first `length` bytes: the same buffer each time until `use`."""
        buffer = self._buffers[self._next]
        buffer.view[:length] = packet.view[:length]
        return buffer

    def use(self) -> None:
        """The last copy was given to an `Outbox`, or is not needed any more."""
        self._next += 1
        if self._next == len(self._buffers):
            self._next = 0
            self._flush()
