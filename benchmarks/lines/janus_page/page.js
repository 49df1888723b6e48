/**
 * A call between two people over Janus's videocall plugin, as a plain application makes it.
 *
 * The same camera, microphone and highest bitrate as this project's own pages. Candidates are
 * trickled, as janus.js does. When ICE is disconnected for a second, has failed, or the browser
 * comes back online, it restarts ICE by a `set` request with a new offer, which the plugin hands to
 * the other page as an `update`. HTTP, not a WebSocket: requests are repeated until they get
 * through, and so outlive a change of address. A `hangup` of Janus ends the call for good.
 */

const API = `http://${location.hostname}:8088/janus`;
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const VIDEO = {
  width: { ideal: 960 },
  height: { ideal: 540 },
  frameRate: { ideal: 30, max: 30 },
  facingMode: "user",
};
const VIDEO_MAX_BPS = 1_500_000;
const DISCONNECTED_GRACE_MS = 1000;
const REPEAT_AFTER_MS = 500;
const REQUEST_WITHIN_MS = 5000;
const POLL_WITHIN_MS = 40_000;

const name = location.hash.slice(1);
const find = (id) => document.querySelector(`[data-testid=${id}]`);
let session = 0;
let handle = 0;
let pc;

async function request(url, options, withinMs) {
  for (;;) {
    try {
      const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(withinMs) });
      return await answer.json();
    } catch {
      await new Promise((done) => setTimeout(done, REPEAT_AFTER_MS));
    }
  }
}

function post(path, body) {
  const text = JSON.stringify({ transaction: crypto.randomUUID(), ...body });
  const options = { method: "POST", body: text, headers: { "Content-Type": "application/json" } };
  return request(API + path, options, REQUEST_WITHIN_MS);
}

const ask = (body, jsep) =>
  post(`/${session}/${handle}`, { janus: "message", body, ...(jsep && { jsep }) });

async function connect(stream) {
  pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  pc.ontrack = ({ streams }) => (find("remote-video").srcObject = streams[0]);
  pc.onicecandidate = ({ candidate }) =>
    post(`/${session}/${handle}`, {
      janus: "trickle",
      candidate: candidate ? candidate.toJSON() : { completed: true },
    });
  pc.onconnectionstatechange = () => {
    if (pc.connectionState === "connected") find("in-call").hidden = false;
  };
  pc.oniceconnectionstatechange = () => {
    if (pc.iceConnectionState === "failed") void restart();
    if (pc.iceConnectionState === "disconnected")
      setTimeout(() => {
        if (["disconnected", "failed"].includes(pc.iceConnectionState)) void restart();
      }, DISCONNECTED_GRACE_MS);
  };
  for (const track of stream.getTracks()) pc.addTrack(track, stream);
}

async function limit() {
  for (const sender of pc.getSenders()) {
    if (sender.track?.kind !== "video") continue;
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings) encoding.maxBitrate = VIDEO_MAX_BPS;
    await sender.setParameters(parameters);
  }
}

async function restart() {
  if (pc.signalingState !== "stable") return;
  await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
  await ask({ request: "set" }, pc.localDescription);
}

async function call() {
  await connect(await media);
  await pc.setLocalDescription(await pc.createOffer());
  await ask({ request: "call", username: "patient" }, pc.localDescription);
}

async function answer(how, jsep) {
  await pc.setRemoteDescription(jsep);
  await pc.setLocalDescription(await pc.createAnswer());
  await limit();
  await ask({ request: how }, pc.localDescription);
}

async function take({ plugindata, jsep }) {
  switch (plugindata?.data?.result?.event) {
    case "registered":
      find("ready").hidden = false;
      find("call").hidden = name === "patient";
      break;
    case "incomingcall":
      await connect(await media);
      await answer("accept", jsep);
      break;
    case "accepted":
      if (jsep) {
        await pc.setRemoteDescription(jsep);
        await limit();
      }
      break;
    case "update":
      if (jsep?.type === "offer") await answer("set", jsep);
      else if (jsep) await pc.setRemoteDescription(jsep);
      break;
  }
}

async function listen() {
  for (;;) {
    const found = await request(`${API}/${session}?maxev=5`, {}, POLL_WITHIN_MS);
    for (const event of [found].flat()) await take(event);
  }
}

const media = navigator.mediaDevices.getUserMedia({ audio: AUDIO, video: VIDEO });
find("preview").srcObject = await media;
find("call").addEventListener("click", () => void call());
addEventListener("online", () => pc && void restart());
session = (await post("", { janus: "create" })).data.id;
handle = (await post(`/${session}`, { janus: "attach", plugin: "janus.plugin.videocall" })).data.id;
void listen();
await ask({ request: "register", username: name });
