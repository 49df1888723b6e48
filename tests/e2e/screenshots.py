"""Pictures of each page in each state, for people to look at: ``make screenshots``.

One story of a consult is played through the real server for each size, language and colour
scheme; the pictures land in ``build/screenshots/``. Arguments, if any, choose what to play:
``python -m tests.e2e.screenshots 390x844-zh-CN-light …``
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from tests.e2e.chairs import CONNECTION_LOST, NOT_SIGNED_IN, Chair, Patient, Physician, let_pass
from tests.e2e.clinic import Browsers, Clinic, open_browsers, open_clinic
from tests.e2e.server import ROOT

OUT = ROOT / "build" / "screenshots"
NO_CAMERA = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  if (wanted.video) throw new DOMException("no camera", "NotFoundError");
  return open(wanted);
};
"""
REFUSED = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("refused", "NotAllowedError");
};
"""
NEVER_ANSWERS = """
RTCPeerConnection.prototype.setLocalDescription = () => new Promise(() => {});
"""
QUARTER_OF_AN_HOUR_LATER = """
const now = Date.now.bind(Date);
Date.now = () => now() + 13 * 60_000;
"""
ARABIC_SAMPLE = "مريم"  # a name of another script must not turn the row around


@dataclass(frozen=True, slots=True)
class Look:
    """One way a page may look. ``str()`` names it."""

    width: int
    height: int
    language: str
    scheme: str

    def __str__(self) -> str:
        return f"{self.width}x{self.height}-{self.language}-{self.scheme}"

    @property
    def options(self) -> dict[str, Any]:
        """As of Playwright's new_context."""
        return {
            "viewport": {"width": self.width, "height": self.height},
            "locale": self.language,
            "color_scheme": self.scheme,
        }


LOOKS = (
    Look(390, 844, "zh-CN", "light"),
    Look(390, 844, "en-US", "light"),
    Look(1280, 800, "zh-CN", "light"),
    Look(1280, 800, "en-US", "light"),
    Look(390, 844, "zh-CN", "dark"),
    Look(1280, 800, "en-US", "dark"),
)


class Story:
    """One consult from the link to the receipt, with a picture at every turn."""

    def __init__(self, clinic: Clinic, look: Look) -> None:
        self.clinic, self.look = clinic, look

    async def tell(self) -> None:
        """Play everything."""
        console = await self.sign_in()
        patient = await self.arrive()
        await self.queue(console)
        await self.call_nobody_answers(console)
        await console.find("queue-item").filter(has_text="李秀英").get_by_test_id("take").click()
        await self.call(patient, console)
        await self.hang_up_and_finish(patient, console)
        await self.lose_the_connection(console)

    async def shoot(self, chair: Chair, state: str) -> None:
        """One picture of the whole page."""
        who = "console" if isinstance(chair, Physician) else "patient"
        await chair.page.evaluate("() => document.fonts.ready.then(() => {})")
        await chair.page.screenshot(
            path=OUT / f"{who}-{state}-{self.look}.png", full_page=True, animations="disabled"
        )

    async def guest(self, script: str = "") -> Patient:
        """A patient's browser in this look, whose pages run `script` first."""
        guest = await self.clinic.patient(watched=False, **self.look.options)
        if script:
            await guest.page.add_init_script(script)
        return guest

    async def sign_in(self) -> Physician:
        """Sign in, wrongly first; nobody waits."""
        console = await Physician.sit(
            self.clinic.browsers.physicians, "console", **self.look.options
        )
        self.clinic.physicians.append(console)
        console.tolerate(NOT_SIGNED_IN)
        demo = self.clinic.server.demo
        await console.page.goto(demo["console_url"])
        await console.sees("sign-in")
        await self.shoot(console, "sign-in")
        await console.find("username").fill(demo["username"])
        await console.find("password").fill("guessed")
        await console.press("sign-in")
        await console.sees("sign-in-error")
        await self.shoot(console, "wrong-password")
        await console.sign_in(demo)
        await frames(console, "preview")
        await self.shoot(console, "empty-queue")
        return console

    async def arrive(self) -> Patient:
        """A bad link, the welcome, what may be wrong with a camera, and the waiting room."""
        lost = await self.guest()
        await lost.arrive(f"{self.clinic.server.base_url}/join#{'0' * 40}")
        await lost.sees("closed")
        await self.shoot(lost, "invalid-link")
        for name, script in (("no-camera", NO_CAMERA), ("refused", REFUSED)):
            unlucky = await self.guest(script)
            await unlucky.arrive(await self.clinic.server.order("赵敏"))
            await unlucky.find("agree").check()
            await unlucky.sees("trouble")
            await self.shoot(unlucky, name)
        patient = await self.clinic.patient(**self.look.options)
        await patient.arrive(self.clinic.server.demo["patient_url"])
        await patient.sees("agree")
        await self.shoot(patient, "welcome")
        await patient.find("agree").check()
        await frames(patient, "preview")
        await self.shoot(patient, "agreed")
        await patient.press("join")
        await patient.sees("waiting")
        await self.shoot(patient, "waiting")
        return patient

    async def queue(self, console: Physician) -> None:
        """Several wait: another script, a long complaint, by voice, not online; then for long."""
        voice = await self.wait(
            ARABIC_SAMPLE, complaint="持续咳嗽伴低热两周，夜间加重，自服止咳药无效"
        )
        gone = await self.wait("Aleksandr Konstantinopolsky-Featherstonehaugh", returning=True)
        await gone.leave()
        self.clinic.patients.remove(gone)
        await voice.sees("place")
        await console.find("queue-item").nth(2).wait_for()
        await self.shoot(voice, "waiting-third")
        await self.shoot(console, "queue")
        later = await Physician.sit(self.clinic.browsers.physicians, "later", **self.look.options)
        await later.context.add_cookies(await console.context.cookies())  # type: ignore[arg-type]
        await later.page.add_init_script(QUARTER_OF_AN_HOUR_LATER)
        await later.page.goto(self.clinic.server.demo["console_url"])
        await later.find("queue-item").first.wait_for()
        await frames(later, "preview")
        await self.shoot(later, "queue-long-waits")
        await later.leave()
        if await console.find("take-back").is_visible():
            await console.press("take-back")
        await console.find("queue-item").first.wait_for()

    async def wait(self, name: str, **order: Any) -> Patient:
        """One more patient who waits."""
        guest = await self.guest()
        await guest.join(await self.clinic.server.order(name, **order))
        return guest

    async def call_nobody_answers(self, console: Physician) -> None:
        """The patient's browser hangs while called: both pages say what they wait for."""
        hung = await self.guest(NEVER_ANSWERS)
        await hung.join(await self.clinic.server.order("王芳", complaint="复诊：高血压用药调整"))
        row = console.find("queue-item").filter(has_text="王芳")
        await row.get_by_test_id("take").click()
        await console.sees("connecting")
        await hung.sees("connecting")
        await self.shoot(console, "connecting")
        await self.shoot(hung, "connecting")
        await console.press("put-back")
        await hung.sees("waiting")
        await hung.press("leave")
        await hung.sees("closed")
        await self.shoot(hung, "gave-up")

    async def call(self, patient: Patient, console: Physician) -> None:
        """In the call: video, voice, a proposal, held, one silent, the other silent."""
        await self.both(patient, console, "in-call")
        await patient.to_voice()
        await console.sees("to-video")
        await let_pass(1)
        await self.both(patient, console, "voice", pictures=False)
        await console.to_video()
        await patient.sees("accept-video")
        await self.both(patient, console, "proposal", pictures=False)
        await patient.accept_video()
        await patient.gets_video()
        await console.hold()
        await patient.sees("pause-reason")
        await self.both(patient, console, "held", pictures=False)
        await console.resume()
        chairs: tuple[Chair, Chair] = (patient, console)
        for quiet, state in zip(chairs, ("patient-silent", "physician-silent"), strict=True):
            await quiet.silence()
            for chair in chairs:
                await chair.sees("pause-reason")
            await self.both(patient, console, state, pictures=False)
            await quiet.speak()
            for chair in chairs:
                await chair.sees_no("pause-reason")

    async def both(
        self, patient: Patient, console: Physician, state: str, pictures: bool = True
    ) -> None:
        """The same moment on both pages."""
        for chair in (patient, console):
            await chair.sees("in-call")
            if pictures:
                await chair.gets_video()
        for chair in (patient, console):
            await self.shoot(chair, state)

    async def hang_up_and_finish(self, patient: Patient, console: Physician) -> None:
        """The patient hangs up and comes back; the physician finishes."""
        await patient.hang_up()
        await console.sees("pause-reason")
        await self.shoot(patient, "hung-up")
        await self.shoot(console, "patient-hung-up")
        await patient.rejoin()
        await patient.sees("in-call")
        await patient.gets_video()
        await console.press("finish")
        await console.sees("finish-confirm")
        await self.shoot(console, "finish-dialog")
        await console.press("finish-confirm")
        await console.sees("receipt")
        await self.shoot(console, "receipt")
        await patient.summary()
        await self.shoot(patient, "summary")

    async def lose_the_connection(self, console: Physician) -> None:
        """Another call, in which the server goes away."""
        patient = await self.clinic.patient(**self.look.options)
        await patient.join(await self.clinic.server.order("陈静"))
        await console.find("queue-item").filter(has_text="陈静").get_by_test_id("take").click()
        for chair in (patient, console):
            await chair.sees("in-call")
            await chair.gets_video()
        for seated in self.clinic.chairs:
            seated.tolerate(CONNECTION_LOST)
        await self.clinic.server.kill9()
        for chair in (patient, console):
            await chair.sees("connection")
            await self.shoot(chair, "connection-lost")


async def frames(chair: Chair, test_id: str) -> None:
    """Wait for the first picture in a video element."""
    video = await chair.sees(test_id)
    await video.evaluate(
        "(video) => new Promise((seen) => video.requestVideoFrameCallback(() => seen()))"
    )


async def play(browsers: Browsers, look: Look) -> None:
    """One story, with a server of its own."""
    async with open_clinic(browsers, kept=Path(OUT) / f"failed-{look}") as clinic:
        await Story(clinic, look).tell()


async def play_all(looks: list[Look]) -> None:
    """Every story, one after the other."""
    async with async_playwright() as driver, open_browsers(driver) as browsers:
        for look in looks:
            sys.stdout.write(f"{look} …\n")
            sys.stdout.flush()
            await play(browsers, look)


def main() -> int:
    """Play what the arguments name, or everything."""
    chosen = [look for look in LOOKS if len(sys.argv) == 1 or str(look) in sys.argv[1:]]
    OUT.mkdir(parents=True, exist_ok=True)
    asyncio.run(play_all(chosen))
    sys.stdout.write(f"{len(list(OUT.glob('*.png')))} pictures in {OUT.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
