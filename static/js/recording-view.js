/** The recording of a call, on both pages: the red sign, what went wrong, who may end it. */

import { ref, setText, show } from "./dom.js";

/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./protocol").PatientView} PatientView */
/** @typedef {import("./protocol").PhysicianView} PhysicianView */
/** @typedef {import("./protocol").Recording} Recording */

/**
 * The sign is seen and said for as long as the recording runs; only the server says whether it does.
 * @param {PatientView | PhysicianView | null} view  null outside a call
 * @param {Words} words
 */
export function renderRecording(view, words) {
  const state = view?.recording?.state ?? null;
  show(ref("recording-sign"), state === "on");
  show(ref("recording-failed"), state === "failed");
  show(ref("stop-recording"), state === "on" || (state === "proposed" && view?.party === "physician"));
  setText(ref("live-recording"), spoken(state, words));
}

/** @param {Recording["state"] | null} state  @param {Words} words  @returns {string} */
function spoken(state, words) {
  if (state === "on") return words.t("recording.on");
  if (state === "failed") return words.t("recording.failed");
  // Silence before the first one: a live region speaks only of what changed.
  const before = ref("live-recording");
  const was = before.textContent !== "" && state === null;
  return was ? words.t("recording.over") : "";
}
