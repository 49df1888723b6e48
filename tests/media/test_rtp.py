"""Reading and rewriting RTP headers in place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtp import (
    ExtensionMap,
    extension_value,
    header_bytes,
    payload_bytes,
    read_header,
    starts_vp8_keyframe,
    unwrap_rtx,
    wrap_rtx,
)
from media.sdp import ABS_SEND_TIME_URI, AUDIO_LEVEL_URI, MID_URI
from tests.media.packets import ELEMENTS, elements_of, rtp

NUMBERS = st.permutations(range(1, 15)).map(
    lambda p: dict(zip((MID_URI, ABS_SEND_TIME_URI, AUDIO_LEVEL_URI), p, strict=False))
)


@given(data=st.binary(max_size=80), first=st.integers(0x80, 0xBF))
def test_no_bytes_lead_out_of_the_packet(data: bytes, first: int) -> None:
    packet = bytearray(bytes((first,)) + data)
    header = header_bytes(packet, len(packet))
    assert 0 <= header <= len(packet)
    if header:
        assert 0 <= payload_bytes(packet, len(packet), header) <= len(packet) - header
        starts_vp8_keyframe(packet, header, len(packet))
        size = len(packet)
        if first & 0x10:
            ExtensionMap({MID_URI: 1}, {MID_URI: 2}, "0", "1").rewrite(packet, header)
        assert len(packet) == size


@given(
    elements=ELEMENTS, payload=st.binary(max_size=50), csrcs=st.integers(0, 15), two=st.booleans()
)
def test_the_header_ends_where_the_payload_starts(
    elements: list[tuple[int, bytes]], payload: bytes, csrcs: int, two: bool
) -> None:
    packet = rtp(7, payload, elements=elements, csrcs=csrcs, two_byte=two)
    header = header_bytes(packet, len(packet))
    assert packet[header:] == payload
    assert payload_bytes(packet, len(packet), header) == len(payload)


@given(padding=st.integers(1, 255), payload=st.binary(max_size=50))
def test_padding_is_no_payload(padding: int, payload: bytes) -> None:
    packet = bytearray(rtp(7, payload) + bytes(padding - 1) + bytes((padding,)))
    packet[0] |= 0x20
    assert payload_bytes(packet, len(packet), 12) == len(payload)


@given(
    elements=ELEMENTS,
    incoming=NUMBERS,
    outgoing=NUMBERS,
    two=st.booleans(),
    known=st.sets(st.sampled_from((MID_URI, ABS_SEND_TIME_URI, AUDIO_LEVEL_URI))),
)
def test_each_element_gets_the_receivers_number_or_goes(
    elements: list[tuple[int, bytes]],
    incoming: dict[str, int],
    outgoing: dict[str, int],
    two: bool,
    known: set[str],
) -> None:
    """An id that means something else to the receiver would be taken for that."""
    outgoing = {uri: number for uri, number in outgoing.items() if uri in known}
    packet = bytearray(rtp(7, b"payload", elements=elements, two_byte=two))
    numbers = {number: uri for uri, number in incoming.items()}
    expected = []
    for number, value in elements:
        uri = numbers.get(number)
        if uri is None or uri not in outgoing:
            continue
        if uri == MID_URI:
            if len(value) != 2:
                continue
            value = b"v1"  # noqa: PLW2901
        expected.append((outgoing[uri], value))
    mapping = ExtensionMap(incoming, outgoing, "a", "v1")
    mapping.rewrite(packet, header_bytes(packet, len(packet)))
    assert elements_of(bytes(packet)) == expected
    assert packet.endswith(b"payload")


def test_equal_numbers_and_mids_need_no_rewriting() -> None:
    numbers = {MID_URI: 4, ABS_SEND_TIME_URI: 2}
    assert ExtensionMap(numbers, dict(numbers), "0", "0").is_identity
    assert not ExtensionMap(numbers, dict(numbers), "0", "1").is_identity
    assert not ExtensionMap(numbers, {MID_URI: 4}, "0", "0").is_identity


@given(value=st.integers(0, 0xFFFFFF), elapsed_ms=st.integers(0, 5_000))
def test_a_packet_sent_again_says_when_it_is_sent(value: int, elapsed_ms: int) -> None:
    """Else the receiver takes our wait for a queue and asks for less bandwidth."""
    packet = bytearray(rtp(7, elements=[(3, value.to_bytes(3, "big"))]))
    mapping = ExtensionMap({}, {ABS_SEND_TIME_URI: 3}, "0", "0")
    mapping.delay_abs_send_time(packet, elapsed_ms)
    (found,) = elements_of(bytes(packet))
    later = int.from_bytes(found[1], "big") - value & 0xFFFFFF
    assert abs(later / 2**18 * 1000 - elapsed_ms) < 0.01


@given(elements=ELEMENTS, number=st.integers(1, 14))
def test_the_first_element_of_a_number_is_found(
    elements: list[tuple[int, bytes]], number: int
) -> None:
    packet = rtp(7, elements=elements)
    expected = next((value for n, value in elements if n == number), None)
    assert extension_value(packet, len(packet), number) == expected


@given(
    payload=st.binary(min_size=1, max_size=60),
    elements=ELEMENTS,
    sequence=st.integers(0, 65_535),
    marker=st.booleans(),
)
def test_rtx_carries_a_packet_there_and_back(
    payload: bytes, elements: list[tuple[int, bytes]], sequence: int, marker: bool
) -> None:
    packet = rtp(sequence, payload, 5, 11, 96 | marker << 7, elements)
    rtx = wrap_rtx(packet, 97, 500, 12)
    assert read_header(rtx, 2) == (500, 5, 12)
    assert rtx[1] == 97 | marker << 7
    length = unwrap_rtx(rtx, len(rtx), header_bytes(rtx, len(rtx)), 96, 11)
    assert bytes(rtx[:length]) == packet


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("1000", True),  # no extension, P = 0
        ("1001", False),  # an inter frame
        ("0000", False),  # not the start of a partition
        ("1100", False),  # partition 1
        ("90800500", True),  # 7-bit picture id
        ("9080800500", True),  # 15-bit picture id
        ("90e08005090000", True),  # 15-bit picture id, TL0PICIDX, TID
        ("90e08005090001", False),
        ("9010e000", True),  # KEYIDX only
        ("9080", False),  # cut off
        ("90", False),
        ("", False),
    ],
)
def test_keyframes_are_known_by_the_payload_descriptor(payload: str, expected: bool) -> None:
    data = bytes.fromhex(payload)
    assert starts_vp8_keyframe(data, 0, len(data)) is expected
