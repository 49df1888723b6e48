"""How often the media socket is looked at: at each arrival, or in a steady pace when much arrives.

To wake up for each packet costs as much as to forward it. Network cards have the same trouble and
the same cure, interrupt moderation: under load, look at intervals and take what has come since. A
packet then waits for half a millisecond at most, a thirtieth of what a jitter buffer holds.
"""

import contextlib
import os
from typing import Any, Final

from cffi import FFI

WINDOW_MS: Final = 50
"""How long packets are counted before the pace is decided anew."""

PACED_FROM_PER_S: Final = 2_500
"""From here on a look finds more than one packet on average."""

EVENTS_BELOW_PER_S: Final = 1_800
PACKETS_AT_ONCE: Final = 32
"""What a look should find: more would save little and wait longer."""

SHORTEST_US: Final = 200
LONGEST_US: Final = 600


class Pace:
    """Decides the interval from what arrives. Pure.

    Attributes:
        interval_us: Between two looks; 0: look at each arrival.
    """

    __slots__ = ("_packets", "_since_ms", "interval_us")

    def __init__(self) -> None:
        self.interval_us = 0
        self._packets = 0
        self._since_ms = 0

    def count(self, packets: int, now_ms: int) -> bool:
        """Count what a look found. Returns whether `interval_us` changed.

        Args:
            now_ms: Monotonic clock of the caller, milliseconds.
        """
        self._packets += packets
        passed_ms = now_ms - self._since_ms
        if passed_ms < WINDOW_MS:
            return False
        before = self.interval_us
        per_s = self._packets * 1_000 // passed_ms
        self._packets, self._since_ms = 0, now_ms
        if per_s >= (EVENTS_BELOW_PER_S if before else PACED_FROM_PER_S):
            wanted = PACKETS_AT_ONCE * 1_000_000 // per_s
            self.interval_us = min(LONGEST_US, max(SHORTEST_US, wanted // 50 * 50))
        else:
            self.interval_us = 0
        return self.interval_us != before


_ffi: Final = FFI()
_ffi.cdef(
    """
    struct timespec { long tv_sec; long tv_nsec; };
    struct itimerspec { struct timespec it_interval; struct timespec it_value; };
    int timerfd_create(int clockid, int flags);
    int timerfd_settime(int fd, int flags, const struct itimerspec *value, void *old);
    """
)
_libc: Final[Any] = _ffi.dlopen(None)
_CLOCK_MONOTONIC: Final = 1


class IntervalTimer:
    """A timer that makes a file descriptor readable at each interval (timerfd_create(2)).

    Timers of event loops count milliseconds; this one counts microseconds.
    """

    __slots__ = ("fd",)

    def __init__(self) -> None:
        """Stopped. `close` it.

        Raises:
            OSError: no file descriptor is left.
        """
        self.fd: int = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(_ffi.errno, os.strerror(_ffi.errno), "timerfd_create")

    def start(self, interval_us: int) -> None:
        """Fire each `interval_us` from now on, under a second; 0 stops it."""
        value = _ffi.new("struct itimerspec *")
        value.it_interval.tv_nsec = value.it_value.tv_nsec = interval_us * 1_000
        _libc.timerfd_settime(self.fd, 0, value, _ffi.NULL)

    def fired(self) -> None:
        """Make the descriptor unreadable until the next time. Call it when it is readable."""
        with contextlib.suppress(BlockingIOError):  # it was started anew since
            os.read(self.fd, 8)

    def close(self) -> None:
        """Free the descriptor; the loop must not watch it any more."""
        os.close(self.fd)
