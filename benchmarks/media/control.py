"""What browsers do besides sending media: report, send again what was lost, answer checks."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator

from pylibsrtp import Error

from benchmarks.media.participant import Participant
from benchmarks.media.schedule import Due
from benchmarks.media.wire import Wire

_SR, _RR, _NACK, _PLI, _FIR, _REMB = "sr", "rr", "nack", "pli", "fir", "remb"
_NAMES = {
    (205, 1): _NACK,
    (206, 1): _PLI,
    (206, 4): _FIR,
    (206, 15): _REMB,
    (205, 15): "transport-cc",
}


class Control:
    """Takes the servers' RTCP and STUN, and sends the participants' reports.

    Attributes:
        feedback: How often the server sent which RTCP packet.
    """

    def __init__(
        self,
        wire: Wire,
        participants: list[Participant],
        reports: list[Due],
        resend: Callable[[int, int, int], None],
    ) -> None:
        """`reports` in the order of sending, in Unix time; `resend(participant, kind, number)`."""
        self._wire, self._participants, self._resend = wire, participants, resend
        self._reports = reports[::-1]
        self.feedback: Counter[str] = Counter()

    def send_reports(self, now_ns: int) -> None:
        """Send the reports that are due."""
        while self._reports and self._reports[-1].at_ns <= now_ns:
            due = self._reports.pop()
            participant = self._participants[due.participant]
            report = participant.report(due.number, now_ns)
            self._wire.send(due.participant, report, participant.remote)

    def take(self, index: int, data: bytes, now_ns: int) -> None:
        """Take a datagram for a participant that is no media."""
        participant = self._participants[index]
        if data[:2] == b"\0\1":
            self._wire.send(index, participant.answer(data), participant.remote)
        elif data[0] > 127:
            try:
                plain = participant.open_report(data)
            except Error:
                self.feedback["unreadable"] += 1
                return
            for kind, form, packet in packets(plain):
                self._take_report(participant, kind, form, packet, now_ns)

    def _take_report(
        self, participant: Participant, kind: int, form: int, packet: bytes, now_ns: int
    ) -> None:
        name = {200: _SR, 201: _RR}.get(kind) or _NAMES.get((kind, form))
        if name is None:
            return
        self.feedback[name] += 1
        if name == _SR:
            participant.heard(packet, now_ns)
        elif name == _NACK:
            (ssrc,) = struct.unpack_from("!I", packet, 8)
            if ssrc in participant.ssrcs[:2]:
                which = participant.ssrcs.index(ssrc)
                for sequence in missing(packet):
                    number = sequence - participant.sequences[which] & 0xFFFF
                    self._resend(participant.index, which, number)


def packets(compound: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The packets of a compound: type, the five bits of count or format, all bytes."""
    at = 0
    while at + 4 <= len(compound):
        after = at + 4 + 4 * int.from_bytes(compound[at + 2 : at + 4], "big")
        yield compound[at + 1], compound[at] & 31, compound[at:after]
        at = after


def missing(packet: bytes) -> Iterator[int]:
    """The sequence numbers that a generic NACK names (RFC 4585 §6.2.1)."""
    for first, mask in struct.iter_unpack("!HH", packet[12:]):
        yield first
        yield from (first + bit + 1 & 0xFFFF for bit in range(16) if mask >> bit & 1)
