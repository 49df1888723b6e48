"""What pages are told of relays, and the connection test before a call."""

from __future__ import annotations

from server.settings import Settings
from server.storage import Storage
from tests.signaling.world import World, world_on

TURN = Settings(turn_urls=("turn:relay.example",), turn_secret="a secret", turn_ttl_s=1)


async def test_relays_follow_the_hello_and_are_renewed_in_time(storage: Storage) -> None:
    """Half of the life of the credentials: nobody is left with ones that have ended."""
    async with world_on(storage, settings=TURN) as world:
        patient, console = await world.patient(await world.order()), await world.console()
        for page in (patient, console):
            await page.next("hello")
            first = await page.next("ice_servers")
            (server,) = first["servers"]
            assert server["urls"] == ["turn:relay.example"]
            assert first["ttl_s"] == 1
            while (await page.next("ice_servers"))["servers"] == [server]:
                pass  # within the same second the credentials are the same


async def test_without_relays_nothing_is_said_of_them(world: World) -> None:
    patient = await world.patient(await world.order())
    await patient.next("hello")
    await patient.ask("probe", sdp="v=0")
    assert [message["kind"] for message in patient.received] == []


async def test_a_connection_test_is_answered_and_is_no_matter_of_the_consult(world: World) -> None:
    patient = await world.patient(await world.order())
    hello = await patient.next("hello")
    answer = await patient.ask("probe", sdp="v=0")
    assert (answer["ok"], answer["result"]) == (True, {"sdp": "probe of c_00000001"})
    refused = await patient.ask("probe", sdp="bad")
    assert (refused["ok"], refused["error"]["code"]) == (False, "sdp_refused")
    assert world.calls.offers == []
    case = await world.case()
    assert (case.core.state, case.core.version) == ("created", hello["view"]["n"])
