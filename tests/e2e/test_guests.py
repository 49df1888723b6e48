"""More than two: a guest comes by the physician's link, shares a screen, leaves, is not billed."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Playwright, expect

from tests.e2e.chairs import Chair, let_pass
from tests.e2e.clinic import open_browser
from tests.e2e.conftest import OpenClinic

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

MOVES = """async (video) => {
  const frames = () => video.getVideoPlaybackQuality().totalVideoFrames;
  const first = frames(), until = performance.now() + 8000;
  while (frames() < first + 5 && performance.now() < until)
    await new Promise((done) => setTimeout(done, 50));
  return frames() - first;
}"""


PICTURE = """async (video) => {
  while (video.videoWidth === 0) await new Promise((done) => setTimeout(done, 50));
}"""


async def moves(video: Locator) -> None:
    """New pictures come in this video."""
    assert await video.evaluate(MOVES) >= 5


def tile(chair: Chair, participant: str) -> Locator:
    return chair.page.locator(f'[data-testid="tile"][data-participant^="{participant}"]')


async def test_a_guest_sees_and_is_seen_shares_a_screen_and_leaves(
    clinics: OpenClinic, playwright: Playwright
) -> None:
    """Three Chromium participants; the record knows nothing of the third."""
    browser = await open_browser(playwright)
    try:
        async with clinics() as clinic:
            patient, physician = await clinic.call()
            link = await physician.invite("Li Na")
            guest = await clinic.guest(browser)
            await guest.join(link)
            await guest.sees("in-call")
            for chair, others in ((patient, "guest"), (physician, "guest"), (guest, "patient")):
                await moves(tile(chair, others).get_by_test_id("tile-video"))
                await moves(chair.find("remote-video"))
            await guest.gets_audio()
            await expect(patient.find("others")).to_contain_text("Li Na (family)")
            await expect(guest.find("cost")).to_be_hidden()

            await physician.press("share")
            for chair in (patient, guest):
                screen = tile(chair, "screen").get_by_test_id("tile-video")
                await expect(screen).to_be_visible()
                await screen.evaluate(PICTURE)
                await expect(chair.find("share")).to_be_disabled()
            await physician.press("share")
            await expect(tile(patient, "screen")).to_have_count(0)

            await guest.leave_call()
            for chair in (patient, physician):
                await expect(tile(chair, "guest")).to_have_count(0)
            await guest.press("join")
            await moves(tile(patient, "guest").get_by_test_id("tile-video"))
            await let_pass(1)
            await physician.finish()
            await guest.sees("closed")
            settled = await clinic.settled()
            assert await patient.summary() == clinic.shown(settled.record)
    finally:
        await browser.close()
