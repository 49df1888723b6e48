/** A page without a document: signal.js over the real client. Prints one JSON line per event. */

import { io } from "socket.io-client";

import { Signal } from "../../static/js/signal.js";

const [url, token] = process.argv.slice(2);
const print = (/** @type {object} */ value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const socket = io(`${url}/patient`, {
  transports: ["websocket"],
  autoConnect: false,
  reconnection: false,
  auth: (give) => give({ token }),
});
const signal = new Signal(socket, {
  message: (message) => {
    print(message);
    if (message.kind === "hello" && message.first)
      signal.command({ kind: "hang_up" }).then(
        (result) => print({ kind: "answered", result }),
        (error) => print({ kind: "rejected", code: error.code }),
      );
    if (message.kind === "bye") signal.close();
  },
  link: (link, code) => {
    print({ kind: "link", link, code });
    if (link === "refused") signal.close();
  },
});
signal.open();
