"""How fast a call connects: from a click to the first picture of the other, in real browsers.

Patient: from the click on "join" to the first frame of the physician on the screen, while the
physician's console takes whoever comes at once. Physician: from the click on "take" to the first
frame of the patient. Each run has a fresh patient and a fresh page load of the console; server,
two browsers and their made-up cameras are on this machine, over loopback.

Prints a table, then one JSON object on the last line. `python -m benchmarks.connect [RUNS]`
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from statistics import median

from playwright.async_api import async_playwright

from tests.e2e.chairs import Chair, Physician
from tests.e2e.clinic import Clinic, open_browsers, open_clinic

RUNS = 10
CLICKS = """
addEventListener("click", (event) => {
  const clicked = event.target instanceof Element ? event.target : document.body;
  const id = clicked.closest("[data-testid]")?.dataset.testid;
  if (id === "join" || id === "take") window.clickedAtMs ??= performance.now();
}, { capture: true });
"""
TAKE_AT_ONCE = """
() => new MutationObserver((_changes, observer) => {
  const take = document.querySelector("[data-testid=queue-item] [data-testid=take]");
  if (!take) return;
  observer.disconnect();
  take.click();
}).observe(document.body, { childList: true, subtree: true, attributes: true })
"""
FROM_CLICK_TO_FRAME = """
async () => {
  while (!window.wenzhen?.firstFrameMs) await new Promise(requestAnimationFrame);
  return window.wenzhen.firstFrameMs - window.clickedAtMs;
}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Milliseconds of one call."""

    patient_ms: float
    physician_ms: float


async def connect(clinic: Clinic, physician: Physician) -> Run:
    """One patient comes, is taken at once, both see each other, and the consult is finished."""
    patient = await clinic.patient(watched=False)
    await patient.page.add_init_script(CLICKS)
    await patient.arrive(await clinic.server.order("王芳"))
    await physician.reload()
    await ready(physician)
    await physician.page.evaluate(TAKE_AT_ONCE)
    await patient.find("agree").check()
    await ready(patient)
    await patient.press("join")
    run = Run(*await asyncio.gather(from_click_to_frame(patient), from_click_to_frame(physician)))
    await physician.finish()
    await patient.sees("summary")
    await patient.leave()
    clinic.patients.remove(patient)
    return run


async def ready(chair: Chair) -> None:
    """The camera's picture is on the page, as before anybody would click."""
    preview = await chair.sees("preview")
    await preview.evaluate(
        "(video) => new Promise((seen) => video.requestVideoFrameCallback(() => seen()))"
    )


async def from_click_to_frame(chair: Chair) -> float:
    """Milliseconds by the page's own clock."""
    async with asyncio.timeout(30):
        ms: float = await chair.page.evaluate(FROM_CLICK_TO_FRAME)
    return ms


async def measure(runs: int) -> list[Run]:
    """So many calls, one after the other, after one that warms everything up."""
    async with (
        async_playwright() as driver,
        open_browsers(driver) as browsers,
        open_clinic(browsers) as clinic,
    ):
        physician = await clinic.physician(watched=False)
        await physician.page.add_init_script(CLICKS)
        await connect(clinic, physician)
        return [await connect(clinic, physician) for _ in range(runs)]


def figures(ms: list[float]) -> dict[str, float]:
    """Least, median and greatest of milliseconds."""
    return {"min": round(min(ms), 1), "median": round(median(ms), 1), "max": round(max(ms), 1)}


def main() -> int:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    found = asyncio.run(measure(runs))
    result = {
        "runs": runs,
        "patient_ms": figures([run.patient_ms for run in found]),
        "physician_ms": figures([run.physician_ms for run in found]),
    }
    print("From click to the first frame of the other, ms (Chromium, loopback)")
    for number, run in enumerate(found, start=1):
        print(f"  run {number:2}: patient {run.patient_ms:6.1f}  physician {run.physician_ms:6.1f}")
    for who in ("patient_ms", "physician_ms"):
        print(f"  {who[:-3]:9}: {json.dumps(result[who])}")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
