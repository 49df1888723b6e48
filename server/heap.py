"""The C library's heap, in which OpenSSL, libsrtp and all packets live."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _trimmer() -> Callable[[int], int] | None:
    """glibc's malloc_trim(3); None where the C library is another one."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


_TRIM = _trimmer()


def give_back() -> None:
    """Give the pages in which nothing lives back to the system.

    glibc does so by itself at the heap's upper end only. What a call needs while it begins would
    stay as holes: OpenSSL's buffers, and a second's packets until its round trip is known.
    """
    if _TRIM is not None:
        _TRIM(0)
