"""ICE-lite: only who knows the password gets an answer, and media goes where the peer nominates."""

import asyncio
import binascii
import ipaddress
import os
import string
import struct
import time

import aioice
import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from media.ice import CONSENT_MS, MAX_VALIDATED, Address, IceCredentials, IceLite, username_ufrag
from tests.media.lite_server import LiteServer

LOCAL = IceCredentials(ufrag="srvrUfra", pwd="serverPasswordOf24Charac")
RENEWED = IceCredentials(ufrag="srvrNext", pwd="renewedPasswordOf24Chara")
REMOTE = "peer"
WIFI: Address = ("udp", "192.0.2.7", 40_000)
CELL: Address = ("udp", "198.51.100.9", 50_000)
ICE_CHARS = set(string.ascii_letters + string.digits + "+/")

Attributes = dict[str, object]


def check(
    local: IceCredentials = LOCAL, remote: str = REMOTE, *, nominate: bool = False, **extra: object
) -> bytes:
    """A connectivity check as a full agent sends it to us; aioice signs it."""
    attributes: Attributes = {
        "USERNAME": f"{local.ufrag}:{remote}",
        "PRIORITY": 1_845_501_695,
        "ICE-CONTROLLING": 0x1122334455667788,
    }
    if nominate:
        attributes["USE-CANDIDATE"] = None
    attributes.update(extra)
    attributes = {name: value for name, value in attributes.items() if value is not ...}
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes=attributes)
    message.add_message_integrity(local.pwd.encode())
    return bytes(message)


def endpoint() -> IceLite:
    return IceLite(LOCAL, REMOTE)


def with_fingerprint(message: bytes) -> bytes:
    """`message` with a FINGERPRINT that holds, as anybody can compute it."""
    header = message[:2] + struct.pack("!H", len(message) - 20 + 8) + message[4:20]
    covered = header + message[20:]
    crc = binascii.crc32(covered) ^ 0x5354554E
    return covered + struct.pack("!HHI", 0x8028, 4, crc)


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),  # a dual-stack socket reports IPv4 peers so
        ("fe80::7%lo", "fe80::7"),
    ],
)
def test_a_check_is_answered_with_the_address_it_came_from(host: str, told: str) -> None:
    data = check()
    result = endpoint().handle(data, ("udp", host, 40_000), 0)
    assert result.validated == ("udp", host, 40_000)
    assert result.reply is not None
    reply = stun.parse_message(result.reply)
    assert reply.message_class is stun.Class.RESPONSE
    assert reply.transaction_id == data[8:20]
    assert reply.attributes["XOR-MAPPED-ADDRESS"] == (told, 40_000)
    assert reply.check_message_integrity(LOCAL.pwd.encode())
    assert "FINGERPRINT" in reply.attributes


@given(host=st.ip_addresses(), port=st.integers(0, 65_535))
def test_every_address_is_mirrored_as_the_peer_reads_it(
    host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    result = endpoint().handle(check(), ("tcp", str(host), port), 0)
    assert result.reply is not None
    mapped = getattr(host, "ipv4_mapped", None) or host
    told = stun.parse_message(result.reply).attributes["XOR-MAPPED-ADDRESS"]
    assert told == (str(mapped), port)


@given(pwd=st.text(string.ascii_letters, min_size=22, max_size=26))
def test_only_the_right_password_validates_an_address(pwd: str) -> None:
    """A stranger learns nothing, not even that somebody listens."""
    ice = endpoint()
    result = ice.handle(check(IceCredentials(LOCAL.ufrag, pwd)), WIFI, 0)
    assert (result.reply is None) == (pwd != LOCAL.pwd)
    assert ice.validated == (() if pwd != LOCAL.pwd else (WIFI,))


@pytest.mark.parametrize(
    "username",
    [
        "srvrUfra",
        "srvrUfra:",
        "srvrUfra:other",
        "srvrUfra:peer:",
        "peer:srvrUfra",
        "SRVRUFRA:peer",
        ...,
    ],
)
def test_the_username_is_exactly_ours_and_theirs(username: object) -> None:
    assert endpoint().handle(check(USERNAME=username), WIFI, 0).reply is None


@pytest.mark.parametrize("message_class", [c for c in stun.Class if c is not stun.Class.REQUEST])
def test_what_is_no_request_is_not_answered(message_class: stun.Class) -> None:
    attributes: Attributes = {"USERNAME": f"{LOCAL.ufrag}:{REMOTE}"}
    message = stun.Message(stun.Method.BINDING, message_class, attributes=attributes)
    message.add_message_integrity(LOCAL.pwd.encode())
    assert endpoint().handle(bytes(message), WIFI, 0).reply is None


@pytest.mark.parametrize("method", [m for m in stun.Method if m is not stun.Method.BINDING])
def test_other_methods_are_not_answered(method: stun.Method) -> None:
    attributes: Attributes = {"USERNAME": f"{LOCAL.ufrag}:{REMOTE}"}
    message = stun.Message(method, stun.Class.REQUEST, attributes=attributes)
    message.add_message_integrity(LOCAL.pwd.encode())
    assert endpoint().handle(bytes(message), WIFI, 0).reply is None


def test_a_check_without_fingerprint_is_not_answered() -> None:
    signed = check()[:-8]
    unmarked = signed[:2] + struct.pack("!H", len(signed) - 20) + signed[4:]
    assert endpoint().handle(unmarked, WIFI, 0).reply is None
    assert endpoint().handle(with_fingerprint(signed), WIFI, 0).reply is not None


def test_attributes_behind_the_signature_do_not_nominate() -> None:
    """Anybody on the path can append them and mend the checksum (RFC 8489 §14.5)."""
    use_candidate = struct.pack("!HH", 0x0025, 0)
    ice = endpoint()
    result = ice.handle(with_fingerprint(check()[:-8] + use_candidate), WIFI, 0)
    assert result.validated == WIFI
    assert ice.selected is None


def test_a_datagram_over_1500_bytes_is_refused_unread() -> None:
    at_limit = check(SOFTWARE="x" * (1_500 - len(check()) - 4))
    assert len(at_limit) == 1_500
    assert endpoint().handle(at_limit, WIFI, 0).reply is not None
    over = check(SOFTWARE="x" * (1_500 - len(check())))
    assert endpoint().handle(over, WIFI, 0).reply is None
    assert username_ufrag(over) is None


def test_a_peer_that_claims_to_be_controlled_is_told_487() -> None:
    """A lite agent is always controlled: the peer must control (RFC 8445 §7.3.1.1)."""
    ice = endpoint()
    conflict: Attributes = {"ICE-CONTROLLING": ..., "ICE-CONTROLLED": 5}
    result = ice.handle(check(nominate=True, **conflict), WIFI, 0)
    assert result.reply is not None
    reply = stun.parse_message(result.reply)
    assert reply.error_code == 487
    assert reply.check_message_integrity(LOCAL.pwd.encode())
    assert result.validated is None
    assert ice.selected is None


def test_an_attribute_that_must_be_understood_is_answered_with_420() -> None:
    ice = endpoint()
    result = ice.handle(check(**{"CHANGE-REQUEST": 6}), WIFI, 0)
    assert result.reply is not None
    reply = stun.parse_message(result.reply)
    assert reply.error_code == 420
    assert struct.pack("!HHH", 0x000A, 2, 0x0003) in result.reply
    assert ice.validated == ()


def test_the_latest_nomination_selects_the_address() -> None:
    ice = endpoint()
    assert ice.handle(check(), WIFI, 0).selected is None
    assert ice.handle(check(nominate=True), WIFI, 1).selected == WIFI
    assert ice.handle(check(nominate=True), WIFI, 2).selected is None, "no change"
    assert ice.handle(check(), CELL, 3).selected is None
    assert ice.selected == WIFI
    assert ice.handle(check(nominate=True), CELL, 4).selected == CELL
    assert ice.selected == CELL


def test_a_restart_keeps_the_old_path_until_the_new_one_is_nominated() -> None:
    ice = endpoint()
    ice.handle(check(nominate=True), WIFI, 0)
    ice.restart(RENEWED, "next")
    assert ice.local_ufrags == ("srvrNext", "srvrUfra")
    assert ice.handle(check(), WIFI, 1).validated == WIFI
    assert ice.handle(check(RENEWED, "next"), CELL, 2).validated == CELL
    assert ice.selected == WIFI, "valid is not yet nominated"
    assert ice.handle(check(RENEWED, "next", nominate=True), CELL, 3).selected == CELL
    assert ice.local_ufrags == ("srvrNext",)
    assert ice.handle(check(nominate=True), WIFI, 4).reply is None, "the old password is void"


def test_a_restart_on_the_same_path_ends_the_old_credentials() -> None:
    ice = endpoint()
    ice.handle(check(nominate=True), WIFI, 0)
    ice.restart(RENEWED, "next")
    result = ice.handle(check(RENEWED, "next", nominate=True), WIFI, 1)
    assert result.selected is None, "no change of address"
    assert ice.selected == WIFI
    assert ice.local_ufrags == ("srvrNext",)


def test_a_second_restart_replaces_the_one_that_was_not_used() -> None:
    ice = endpoint()
    ice.handle(check(nominate=True), WIFI, 0)
    ice.restart(IceCredentials("srvrSkip", "x" * 24), "skip")
    ice.restart(RENEWED, "next")
    assert ice.local_ufrags == ("srvrNext", "srvrUfra")
    assert ice.handle(check(nominate=True), WIFI, 1).validated == WIFI


def test_mixed_generations_do_not_validate() -> None:
    ice = endpoint()
    ice.restart(RENEWED, "next")
    assert ice.handle(check(RENEWED, REMOTE), WIFI, 0).reply is None
    assert ice.handle(check(LOCAL, "next"), WIFI, 0).reply is None
    swapped = IceCredentials(RENEWED.ufrag, LOCAL.pwd)
    assert ice.handle(check(swapped, "next"), WIFI, 0).reply is None


def test_consent_ends_30_s_after_the_last_check() -> None:
    ice = endpoint()
    ice.handle(check(nominate=True), WIFI, 1_000)
    ice.handle(check(), CELL, 2_000)
    ice.handle(check(), WIFI, 5_000)
    assert ice.expire(1_999 + CONSENT_MS) == ()
    assert ice.expire(2_000 + CONSENT_MS) == (CELL,)
    assert ice.selected == WIFI
    assert ice.expire(5_000 + CONSENT_MS) == (WIFI,)
    assert ice.selected is None
    assert ice.handle(check(nominate=True), WIFI, 6_000 + CONSENT_MS).selected == WIFI


def test_the_ninth_address_displaces_the_longest_unchecked_but_never_the_selected() -> None:
    ice = endpoint()
    addresses: list[Address] = [("udp", "192.0.2.1", 1_000 + i) for i in range(MAX_VALIDATED + 1)]
    ice.handle(check(nominate=True), addresses[0], 0)
    for now_ms, address in enumerate(addresses[1:MAX_VALIDATED], start=1):
        assert ice.handle(check(), address, now_ms).forget == ()
    ice.handle(check(), addresses[1], 50)
    assert ice.handle(check(), addresses[-1], 60).forget == (addresses[2],)
    assert ice.selected == addresses[0]
    assert len(ice.validated) == MAX_VALIDATED


_ports = st.integers(1, 12)
_steps = st.one_of(
    st.tuples(st.just("check"), _ports, st.booleans()),
    st.tuples(st.just("expire"), st.just(0), st.just(False)),
)


@given(steps=st.lists(st.tuples(_steps, st.integers(0, 12_000)), max_size=40))
def test_the_demultiplexer_can_follow_who_is_validated(
    steps: list[tuple[tuple[str, int, bool], int]],
) -> None:
    """`validated` and `forget` add up to the bounded set; the selected address is always in it."""
    ice, known, now_ms = endpoint(), set[Address](), 0
    for (action, port, nominate), later_ms in steps:
        now_ms += later_ms
        before = ice.selected
        if action == "expire":
            known -= set(ice.expire(now_ms))
        else:
            result = ice.handle(check(nominate=nominate), ("udp", "192.0.2.1", port), now_ms)
            assert result.validated is not None
            known = (known | {result.validated}) - set(result.forget)
            assert result.selected == (ice.selected if ice.selected != before else None)
        assert known == set(ice.validated)
        assert len(known) <= MAX_VALIDATED
        assert ice.selected is None or ice.selected in known


@given(data=st.binary(max_size=1_600))
def test_no_datagram_raises(data: bytes) -> None:
    ice = endpoint()
    assert ice.handle(data, WIFI, 0).reply is None
    username_ufrag(data)


@given(body=st.binary(max_size=400), length=st.none() | st.integers(0, 0xFFFF))
def test_no_binding_request_raises(body: bytes, length: int | None) -> None:
    """The same behind a header that holds, and with a checksum that holds."""
    size = len(body) if length is None else length
    data = struct.pack("!HHI12s", 1, size, 0x2112A442, b"transaction!") + body
    for datagram in (data, with_fingerprint(data)):
        assert endpoint().handle(datagram, WIFI, 0).reply is None
        username_ufrag(datagram)


REAL = check(nominate=True)


@given(
    edits=st.lists(
        st.tuples(
            st.sampled_from(("set", "insert", "delete", "cut")),
            st.integers(0, len(REAL) - 1),
            st.binary(min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=6,
    ),
    mend=st.booleans(),
)
def test_a_check_changed_on_the_way_is_not_answered(
    edits: list[tuple[str, int, bytes]], mend: bool
) -> None:
    """Whoever mends the checksum still lacks the signature."""
    original = REAL[:-8] if mend else REAL
    data = bytearray(original)
    for kind, position, value in edits:
        if kind == "set":
            data[position : position + len(value)] = value
        elif kind == "insert":
            data[position:position] = value
        elif kind == "delete":
            del data[position : position + len(value)]
        else:
            del data[position:]
    sent = with_fingerprint(bytes(data)) if mend and len(data) >= 20 else bytes(data)
    ice = endpoint()
    result = ice.handle(sent, WIFI, 0)
    username_ufrag(sent)
    # Behind the signature, and in the length field that gets mended, nothing is signed.
    intact = data[:2] == original[:2] and data[4 : len(original)] == original[4:]
    if not (mend and intact) and sent != REAL:
        assert result.reply is None
        assert ice.validated == ()


def test_the_ufrag_of_a_check_is_found_without_verifying_it() -> None:
    assert username_ufrag(check()) == LOCAL.ufrag
    assert username_ufrag(check(IceCredentials(LOCAL.ufrag, "wrong" * 5))) == LOCAL.ufrag
    assert username_ufrag(check(USERNAME="nocolon")) is None
    assert username_ufrag(check(USERNAME="ünicode:peer")) is None
    assert username_ufrag(check(USERNAME=...)) is None


@given(random=st.binary(min_size=24, max_size=64))
def test_credentials_are_ice_chars_of_enough_entropy(random: bytes) -> None:
    """RFC 8445 §5.3: at least 24 bits for the ufrag and 128 for the password."""
    credentials = IceCredentials.generate(random)
    assert set(credentials.ufrag + credentials.pwd) <= ICE_CHARS
    assert 6 * len(credentials.ufrag) >= 24
    assert 6 * len(credentials.pwd) >= 128


@given(one=st.binary(min_size=24, max_size=24), other=st.binary(min_size=24, max_size=24))
def test_credentials_differ_when_the_random_bytes_do(one: bytes, other: bytes) -> None:
    assert (IceCredentials.generate(one) == IceCredentials.generate(other)) == (one == other)


def test_too_few_random_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="24 random bytes"):
        IceCredentials.generate(bytes(23))


def test_answering_a_check_costs_microseconds() -> None:
    """Checks come from strangers too: the cost of one must not stall the loop."""
    ice, data = endpoint(), check(nominate=True)
    best_s = 1.0
    for _ in range(20):
        begin_s = time.perf_counter()
        for _ in range(50):
            ice.handle(data, WIFI, 0)
        best_s = min(best_s, (time.perf_counter() - begin_s) / 50)
    assert best_s < 500e-6


async def connect(
    server: LiteServer, local: IceCredentials, peer: aioice.Connection, port: int
) -> None:
    candidate = aioice.Candidate("1", 1, "udp", 2_130_706_431, "127.0.0.1", port, "host")
    await peer.add_remote_candidate(candidate)
    await peer.add_remote_candidate(None)
    peer.remote_username, peer.remote_password, peer.remote_is_lite = local.ufrag, local.pwd, True
    await peer.connect()
    assert server.ice.selected is not None
    await peer.send(b"\x80from the peer")
    assert await asyncio.wait_for(server.data.get(), 5) == b"\x80from the peer"


async def test_a_real_ice_agent_connects_and_restarts() -> None:
    """aioice as the full agent over real UDP: it nominates, sends, and comes back renewed."""
    loop = asyncio.get_running_loop()
    local = IceCredentials.generate(os.urandom(24))
    peer = aioice.Connection(ice_controlling=True)
    ice = IceLite(local, peer.local_username)
    transport, server = await loop.create_datagram_endpoint(
        lambda: LiteServer(ice), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    try:
        await peer.gather_candidates()
        await connect(server, local, peer, port)
        first = ice.selected
        assert first is not None

        renewed = IceCredentials.generate(os.urandom(24))
        successor = aioice.Connection(ice_controlling=True)
        ice.restart(renewed, successor.local_username)
        await successor.gather_candidates()
        await connect(server, renewed, successor, port)
        assert ice.selected not in (None, first)
        assert ice.local_ufrags == (renewed.ufrag,)
        transport.sendto(b"\x80to the peer", ice.selected[1:] if ice.selected else None)
        assert await asyncio.wait_for(successor.recv(), 5) == b"\x80to the peer"
        await successor.close()
    finally:
        await peer.close()
        transport.close()
