"""The packets of one stream that its receiver may ask for again. Pure.

A ring with a slot for each sequence number. It begins small and grows with what is sent within the
time that packets are kept: a call's camera needs an eighth of what a shared screen may take.
"""

from array import array
from typing import Final

from media.rtp import header_bytes, starts_vp8_keyframe

HISTORY_MS: Final = 2_000
"""How long a packet can be sent again, at most. Browsers wait three seconds for a frame."""

UNKNOWN_HISTORY_MS: Final = 1_000
"""The same while the round trip is not known."""

MIN_HISTORY_MS: Final = 300

HISTORY_PACKETS: Final = 512
"""At most: a second at 5 Mbit/s. A power of two: slots are found with a mask."""

FIRST_PACKETS: Final = 64
MAX_HOLES: Final = 128

MIN_RESEND_INTERVAL_MS: Final = 40
MAX_ON_ITS_WAY_MS: Final = 300
"""A round trip that was measured while a queue was long is not believed for longer."""

_NEVER: Final = -(1 << 62)


class History:
    """What was sent, by sequence number. Call `expire` each 100 ms or so."""

    __slots__ = ("_holes", "_kept_ms", "_mask", "_oldest", "_packets", "_resent_ms", "_sent_ms")

    def __init__(self, first_sequence: int) -> None:
        self._holes: dict[int, None] = {}  # numbers before `_oldest` that were never sent, in order
        self._kept_ms = UNKNOWN_HISTORY_MS
        self._oldest = first_sequence  # from there on there may be packets
        self._resize(FIRST_PACKETS)

    def _resize(self, slots: int) -> None:
        self._mask = slots - 1
        self._packets: list[bytearray | None] = [None] * slots
        self._sent_ms = array("q", [_NEVER]) * slots
        self._resent_ms = array("q", [_NEVER]) * slots  # counts while it is not before `_sent_ms`

    def __len__(self) -> int:
        """How many packets are kept now."""
        return sum(packet is not None for packet in self._packets)

    def put(self, sequence: int, packet: bytearray, now_ms: int) -> None:
        """Keep a packet, which must not be changed any more, with its sequence number in it."""
        slot = sequence & self._mask
        if self._packets[slot] is not None:
            slot = self._make_room(sequence, now_ms)
        self._packets[slot] = packet
        self._sent_ms[slot] = now_ms

    def _make_room(self, sequence: int, now_ms: int) -> int:
        """The slot of a number where another packet is: in a larger ring if that is still kept."""
        while self._packets[slot := sequence & self._mask] is not None:
            is_kept = now_ms - self._sent_ms[slot] <= self._kept_ms
            if not is_kept or len(self._packets) == HISTORY_PACKETS:
                self._forget(sequence - self._mask & 0xFFFF, now_ms)
                break
            packets, sent_ms, resent_ms = self._packets, self._sent_ms, self._resent_ms
            self._resize(2 * len(packets))
            for former, packet in enumerate(packets):
                if packet is not None:
                    new = (packet[2] << 8 | packet[3]) & self._mask
                    self._packets[new] = packet
                    self._sent_ms[new], self._resent_ms[new] = sent_ms[former], resent_ms[former]
        return slot

    def expire(self, end: int, now_ms: int, round_trip_ms: int | None) -> None:
        """Forget the packets before the number `end` that nobody will ask for any more.

        Receivers ask again each round trip; the fourth time is the last that helps.
        """
        kept_ms = UNKNOWN_HISTORY_MS
        if round_trip_ms is not None:
            kept_ms = min(HISTORY_MS, MIN_HISTORY_MS + 4 * round_trip_ms)
        self._kept_ms = kept_ms
        sent_ms, mask = self._sent_ms, self._mask
        until = end - min(end - self._oldest & 0xFFFF, mask + 1) & 0xFFFF
        while until != end and now_ms - sent_ms[until & mask] > kept_ms:
            until = until + 1 & 0xFFFF
        self._forget(until, now_ms)

    def _forget(self, until: int, now_ms: int) -> None:
        """Look no more at numbers before `until`, but remember which of them were never there."""
        packets, mask, holes = self._packets, self._mask, self._holes
        count = until - self._oldest & 0xFFFF
        if count > 0x8000:
            return  # a repair came late
        for number in range(until - min(count, 2 * mask), until):
            packet = packets[number & mask]
            if packet is not None and packet[2] << 8 | packet[3] == number & 0xFFFF:
                if now_ms - self._sent_ms[number & mask] > self._kept_ms:
                    packets[number & mask] = None
            else:
                holes[number & 0xFFFF] = None
                if len(holes) > MAX_HOLES:
                    del holes[next(iter(holes))]
        self._oldest = until

    def is_lost(self, sequence: int, now_ms: int, patience_ms: int) -> bool:
        """Whether a packet that the receiver asks for will not come to it in time.

        It is not kept any more, or was sent more than `patience_ms` ago: repairs were lost too.
        A number that was never sent, as it is missing here as well, is not lost.
        """
        found = self.find(sequence, now_ms)
        if found is not None:
            return found[1] > patience_ms
        is_over = 0 < (self._oldest - sequence & 0xFFFF) <= HISTORY_PACKETS
        return is_over and sequence not in self._holes

    def keyframe_since(self, end: int, since_ms: int) -> list[int]:
        """The numbers of the latest keyframe before the number `end`, the last one first.

        Returns:
            Those that are kept; nothing if it was sent before `since_ms`, or its last packet has
            not come yet.
        """
        numbers: list[int] = []
        is_whole = False
        for number in range(end - 1, end - 1 - len(self._packets), -1):
            packet = self._packets[number & self._mask]
            if packet is None:
                continue
            if self._sent_ms[number & self._mask] < since_ms:
                break
            if packet[1] & 0x80:  # the end of a picture (RFC 7741 §4.1)
                numbers, is_whole = [], True
            numbers.append(packet[2] << 8 | packet[3])
            if starts_vp8_keyframe(packet, header_bytes(packet, len(packet)), len(packet)):
                return numbers if is_whole else []
        return []

    def find(self, sequence: int, now_ms: int) -> tuple[bytearray, int] | None:
        """A packet, and how many milliseconds ago it was first sent; None if it is not kept."""
        slot = sequence & self._mask
        packet = self._packets[slot]
        if packet is None or packet[2] << 8 | packet[3] != sequence:
            return None
        return packet, now_ms - self._sent_ms[slot]

    def take(
        self, sequence: int, now_ms: int, round_trip_ms: int = 0
    ) -> tuple[bytearray, int] | None:
        """As `find`, for a packet that was asked for and is now sent again.

        A NACK that comes sooner after the packet than a round trip takes was sent before that
        could arrive, as when the packet came late to us too: it is on its way.

        Returns:
            None also if it is on its way, or was sent again less than `MIN_RESEND_INTERVAL_MS` ago.
        """
        found = self.find(sequence, now_ms)
        if found is None:
            return None
        slot = sequence & self._mask
        resent_ms = self._resent_ms[slot]
        on_its_way_ms = min(round_trip_ms * 3 // 4, MAX_ON_ITS_WAY_MS)
        if found[1] < on_its_way_ms:
            return None
        is_again = resent_ms >= self._sent_ms[slot]
        if is_again and now_ms - resent_ms < max(MIN_RESEND_INTERVAL_MS, on_its_way_ms):
            return None
        self._resent_ms[slot] = now_ms
        return found
