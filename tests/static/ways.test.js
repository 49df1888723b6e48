import assert from "node:assert/strict";
import { test } from "node:test";

import { onlyBy, verdictOf } from "../../static/js/ways.js";

const ANSWER = [
  "v=0",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111",
  "a=candidate:udp0 1 udp 2130706431 192.0.2.7 8081 typ host",
  "a=candidate:udp1 1 UDP 2130706175 2001:db8::7 8081 typ host",
  "a=candidate:tcp0 1 tcp 1671430143 192.0.2.7 8081 typ host tcptype passive",
  "a=end-of-candidates",
  "",
].join("\r\n");

test("the best way that is open is what a person is told of", () => {
  assert.equal(verdictOf({ udp: "open", tcp: "closed", relay: "closed" }), "fast");
  assert.equal(verdictOf({ udp: "closed", tcp: "open", relay: "open" }), "slow");
  assert.equal(verdictOf({ udp: "closed", tcp: "closed", relay: "open" }), "detour");
  assert.equal(verdictOf({ udp: "closed", tcp: "closed", relay: "absent" }), "none");
  assert.equal(verdictOf({ udp: "absent", tcp: "open", relay: "absent" }), "slow");
});

test("what could not be tested is not called closed", () => {
  assert.equal(verdictOf({ udp: "open", tcp: "unknown", relay: "unknown" }), "fast");
  assert.equal(verdictOf({ udp: "unknown", tcp: "open", relay: "absent" }), "untested");
  assert.equal(verdictOf({ udp: "closed", tcp: "closed", relay: "unknown" }), "untested");
});

test("an answer is cut to the candidates of one way, and otherwise left as it is", () => {
  const lines = ANSWER.split("\r\n");
  assert.deepEqual(onlyBy(ANSWER, "udp").split("\r\n"), lines.filter((l) => !l.includes("tcp0")));
  assert.deepEqual(onlyBy(ANSWER, "relay"), onlyBy(ANSWER, "udp"));
  assert.deepEqual(onlyBy(ANSWER, "tcp").split("\r\n"), lines.filter((l) => !/:udp\d/.test(l)));
});
