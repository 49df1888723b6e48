"""Rooms of up to six, with a shared screen: who gets what, and when nobody gets anything."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from media import MediaPort, Room, ScreenTaken, rtcp
from media.flow import FLOW_TIMEOUT_MS
from tests.media.peers import KEYFRAME, Listener, Peer

MANY = 6


def payloads(peer: Peer) -> set[bytes]:
    """Whose packets came: each sends its name in every one."""
    return {bytes(packet).rstrip(b".").rpartition(b"|")[2] for packet in peer.rtp}


def said(peer: Peer) -> bytes:
    return b"|" + peer.name.encode().ljust(40, b".")


async def speak(*peers: Peer) -> None:
    for peer in peers:
        await peer.send("audio", said(peer))
        await peer.send("video", KEYFRAME + said(peer))


async def brought(room: Room, port: MediaPort, name: str, variant: int) -> Peer:
    """A guest with as many lines as a full room takes."""
    peer = Peer(name, variant=variant)
    peer.side = "guest" if name.startswith("guest") else name
    peer.pairs = MANY
    await peer.join(room, port.port)
    return peer


@pytest.fixture
async def trio(port: MediaPort, room: Room) -> AsyncIterator[tuple[Peer, Peer, Peer]]:
    """A patient, a physician and a guest, connected; video is delivered."""
    room.deliver("video")
    peers = [
        await brought(room, port, name, variant)
        for variant, name in enumerate(("patient", "physician", "guest-1"))
    ]
    yield peers[0], peers[1], peers[2]
    for peer in peers:
        await peer.close()


async def flowing(listener: Listener, *peers: Peer) -> None:
    for peer in peers:
        await speak(peer)
        for kind in ("audio", "video"):
            await listener.wait("flow_started", peer.name, kind)


async def test_a_guest_hears_both_and_is_heard_by_both(
    trio: tuple[Peer, Peer, Peer], listener: Listener
) -> None:
    await flowing(listener, *trio)
    await speak(*trio)
    for peer in trio:
        others = {p.name.encode() for p in trio if p is not peer}
        await peer.until(lambda peer=peer, others=others: payloads(peer) >= others)
        assert payloads(peer) == others


@pytest.mark.parametrize("silent", [0, 1])
async def test_a_guest_gives_nobody_a_call_for_nothing(
    trio: tuple[Peer, Peer, Peer], listener: Listener, silent: int
) -> None:
    """While one billed side sends nothing, nothing is billed: nothing goes to or from guests."""
    talking, guest = trio[1 - silent], trio[2]
    await flowing(listener, talking, guest)
    await speak(talking, guest)
    for peer in (talking, guest):
        await peer.bind()  # answered after what was sent before
    assert [peer.rtp for peer in trio] == [[], [], []]


async def test_a_guest_whose_page_was_lost_often_is_seen_at_once(
    trio: tuple[Peer, Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """Nothing of a guest is billed, so there is nothing to be had by pulses."""
    for _ in range(5):
        await flowing(listener, trio[2])
        room.tick(port.now_ms() + FLOW_TIMEOUT_MS)
        await listener.wait("flow_stopped", "guest-1", "video")
        listener.events.clear()
    await flowing(listener, *trio)


async def test_a_guest_alone_starts_no_delivery_and_a_hold_stops_it(
    trio: tuple[Peer, Peer, Peer], room: Room, listener: Listener
) -> None:
    await flowing(listener, *trio)
    room.deliver(None)
    for peer in trio:
        await peer.bind()
        peer.rtp.clear()
    await speak(*trio)
    for peer in trio:
        await peer.bind()
    assert [peer.rtp for peer in trio] == [[], [], []]


async def test_who_leaves_frees_a_seat_and_moves_nobody(
    trio: tuple[Peer, Peer, Peer], port: MediaPort, room: Room
) -> None:
    """Everybody moved up before: the second guest's tile went on with the third's picture."""
    second = await brought(room, port, "guest-2", 4)
    before = {seat.participant_id: seat for seat in room.seats("patient")[1]}
    await room.leave("guest-1")
    after = {seat.participant_id: seat for seat in room.seats("patient")[1]}
    assert after["guest-2"] == before["guest-2"]
    assert set(after) == {"physician", "guest-2"}
    third = await brought(room, port, "guest-3", 5)
    seats = {seat.participant_id: seat for seat in room.seats("patient")[1]}
    assert seats["guest-3"].video_mid == before["guest-1"].video_mid
    for peer in (second, third):
        await peer.close()


async def test_too_few_lines_are_told_and_a_new_offer_adds_them(
    port: MediaPort, room: Room
) -> None:
    """The page offers again on the same connection: nothing that flows is interrupted."""
    patient = Peer("patient")
    await patient.join(room, port.port)
    for number in (1, 2):
        guest = Peer(f"guest-{number}", variant=number)
        guest.side = "guest"
        await guest.signal(room)
    needed, seats = room.seats("patient")
    assert needed == 3
    assert [seat.video_mid for seat in seats] == [None, None]
    patient.pairs = needed
    await patient.signal(room)
    assert [seat.video_mid for seat in room.seats("patient")[1]] == ["3", "5"]
    await patient.close()


async def test_a_shared_screen_reaches_everybody_else(
    trio: tuple[Peer, Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, physician, guest = trio
    await flowing(listener, *trio)
    physician.screen_mid = "s"
    await physician.signal(room)
    with pytest.raises(ScreenTaken):
        await room.offer("guest-1", "guest", guest.connection_id, guest.offer(), "1")
    await physician.send("screen", KEYFRAME + b"|slides")
    await listener.wait("flow_started", "physician", "screen")
    await physician.send("screen", KEYFRAME + b"|slides")
    for peer in (patient, guest):
        await peer.until(lambda peer=peer: b"slides" in payloads(peer))
        (seat,) = [seat for seat in room.seats(peer.name)[1] if seat.is_screen]
        assert (seat.participant_id, seat.audio_mid) == ("physician", None)
    room.stop_screen()
    assert room.screen is None
    assert not any(seat.is_screen for seat in room.seats("patient")[1])
    assert set(room.flow("physician").on) == {"audio", "video"}  # no screen buys a call


async def test_a_late_joiner_makes_every_source_send_a_keyframe(
    trio: tuple[Peer, Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """At once: who comes late sees everybody within a second."""
    await flowing(listener, *trio)
    for peer in trio:
        await peer.bind()
        peer.rtcp.clear()
    late = await brought(room, port, "guest-2", 4)
    for peer in trio:
        wish = rtcp.KeyframeRequest(peer.video_ssrc)
        await peer.until(lambda peer=peer, wish=wish: any(wish in rtcp.parse(d) for d in peer.rtcp))
    await late.close()


async def test_six_who_come_and_go_hear_each_other_and_nobody_twice(
    port: MediaPort, room: Room
) -> None:
    """Real peers, leaving and joining at random; those present get all others, each once."""
    chance = random.Random(5)
    names = ["patient", "physician", *(f"guest-{n}" for n in range(1, MANY - 1))]
    room.deliver("video")
    here: dict[str, Peer] = {}

    async def come(name: str) -> None:
        peer = Peer(name, variant=names.index(name))
        peer.connection_id = f"{name}-{chance.randrange(10**9)}"
        peer.side = "guest" if name.startswith("guest") else name
        peer.pairs = MANY
        await peer.join(room, port.port)
        here[name] = peer

    for name in names:
        await come(name)
    for _ in range(6):
        name = chance.choice(names[2:])
        if name in here:
            await room.leave(name)
            here.pop(name).abandon()
        else:
            await come(name)
        await _all_hear(here)
    for peer in here.values():
        await peer.close()


async def _all_hear(here: dict[str, Peer]) -> None:
    async with asyncio.timeout(10):
        for peer in here.values():
            peer.rtp.clear()
        wanted = {name: {n.encode() for n in here if n != name} for name in here}
        # what one who left sent before may still be on its way
        while not all(payloads(peer) >= wanted[name] for name, peer in here.items()):
            await speak(*here.values())
            await asyncio.gather(*(peer.bind() for peer in here.values()))
    for peer in here.values():
        sent = [(packet[8:12], packet[2:4]) for packet in peer.rtp]
        assert len(set(sent)) == len(sent)
        by_source: dict[bytes, set[bytes]] = {}
        for packet in peer.rtp:
            who = bytes(packet).rstrip(b".").rpartition(b"|")[2]
            by_source.setdefault(who, set()).add(bytes(packet[8:12]))
        assert all(len(ssrcs) <= 2 for ssrcs in by_source.values())  # one of voice, one of pictures
