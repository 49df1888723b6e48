"""A guest in a real call: socket.io pages and DTLS-SRTP peers, one process, one record."""

from __future__ import annotations

import asyncio

from tests.server.clinic import Clinic
from tests.server.party import Party, _connect, finished, in_call, new_peer
from tests.signaling.world import Pageful


async def guest_of(clinic: Clinic, physician: Party, role: str = "family") -> tuple[Party, str]:
    """Invited, with the page open; not in the call yet."""
    asked = {"consult_id": physician.consult_id, "role": role, "name": "Li Na"}
    link = (await physician.page.ask("invite", **asked))["result"]
    page = Pageful("/guest")
    await _connect(page, clinic, {"token": link["token"], "page": "page-0003", "after": 0}, {})
    await page.next("hello")
    peer = new_peer("guest")
    peer.pairs = 3
    peer.audio_ssrc += 50
    peer.video_ssrc += 50
    peer.rtx_ssrc += 50
    return Party(page, peer), link["guest_id"]


async def test_a_guest_is_in_the_call_and_not_on_the_bill(clinic: Clinic) -> None:
    """Sees and hears both, is told the time but not the price, and alone keeps no meter running."""
    async with in_call(clinic) as (patient, physician):
        guest, guest_id = await guest_of(clinic, physician)
        await guest.connect(clinic)
        sending = asyncio.create_task(guest.send())
        guest.sending.set()
        try:
            roster = await guest.page.next("roster", lambda r: len(r["participants"]) == 2)
            assert [(p["role"], p["video_mid"]) for p in roster["participants"]] == [
                ("patient", "3"),
                ("physician", "1"),
            ]
            roster = await patient.page.next("roster", lambda r: len(r["participants"]) == 2)
            assert roster["participants"][1]["id"] == guest_id
            assert (roster["seats"], roster["participants"][1]["video_mid"]) == (2, None)
            await guest.peer.until(lambda: len({packet[8:12] for packet in guest.peer.rtp}) == 4)
            elapsed = await guest.page.next("elapsed", lambda e: e["elapsed_ms"] > 500)
            assert not {"charge_fen", "currency"} & set(elapsed)
            shown = await guest.page.next("quality", lambda q: len(q["lines"]) == 3)
            lines = {line["participant_id"]: line["level"] for line in shown["lines"]}
            assert lines == {"patient": 4, "physician": 4, guest_id: 4}

            patient.sending.clear()
            await physician.page.state("interrupted")
            stopped = await physician.page.next(
                "meter", lambda t: t["video_ms"] and not t["running"]
            )
            heard = guest.heard()
            physician.page.received.clear()
            for _ in range(2):  # seconds in which the guest and the physician go on sending
                later = await physician.page.next("meter")
            assert guest.heard() == heard
            assert (later["video_ms"], later["running"]) == (stopped["video_ms"], False)
        finally:
            sending.cancel()
        record = await finished(clinic, physician)
        assert record["billable_s"] == stopped["video_ms"] // 1000
        assert set(record["quality"]) == {"patient", "physician"}
        await guest.page.next("consult", lambda u: u["view"]["state"] == "ended")
        await guest.page.leave()
        await guest.peer.close()


async def test_a_removed_guest_gets_nothing_more(clinic: Clinic) -> None:
    async with in_call(clinic) as (patient, physician):
        guest, guest_id = await guest_of(clinic, physician)
        await guest.connect(clinic)
        await guest.peer.until(lambda: guest.peer.rtp)
        asked = {"consult_id": physician.consult_id, "guest_id": guest_id}
        assert (await physician.page.ask("remove_guest", **asked))["ok"]
        await patient.page.next("roster", lambda r: len(r["participants"]) == 1)
        heard = guest.heard()
        await patient.page.next("meter", lambda t: t["running"])
        assert guest.heard() == heard
        await guest.page.leave()
        await guest.peer.close()


async def test_a_guest_who_comes_back_at_once_is_in_the_call(clinic: Clinic) -> None:
    """Both commands are there at once: the leaving must not take the connection that follows."""
    async with in_call(clinic) as (_patient, physician):
        guest, _ = await guest_of(clinic, physician)
        await guest.connect(clinic)
        await guest.peer.until(lambda: guest.peer.rtp)
        again = new_peer("guest")
        offer = {"connection_id": again.connection_id, "sdp": again.offer()}
        left, came = await asyncio.gather(guest.page.ask("leave"), guest.page.ask("offer", **offer))
        assert left["ok"]
        assert came["ok"]
        again.answer = came["result"]["sdp"]
        await again.open(clinic.services.media.port)
        await again.bind()
        await again.handshake()
        await again.until(lambda: again.rtp)
        for peer in (guest.peer, again):
            await peer.close()
        await guest.page.leave()
