/**
 * The one connection to the server: commands out, messages in, and its resumption.
 *
 * A command keeps its id until it is answered: after a lost connection it is sent again, and the
 * server gives the first answer again. Delays grow and are jittered, so that thousands of pages
 * do not return in the same instant.
 */

/** @typedef {import("./protocol").Answer} Answer */
/** @typedef {import("./protocol").GoodbyeCode} GoodbyeCode */
/** @typedef {"connecting" | "online" | "lost" | "refused"} Link */

/**
 * What this module needs of socket.io's client.
 * @typedef {object} Transport
 * @property {() => unknown} connect
 * @property {() => unknown} disconnect
 * @property {(name: "command", payload: object) => unknown} emit
 * @property {(name: string, listener: (payload: any) => void) => unknown} on
 */

/**
 * @template M
 * @typedef {object} Listener
 * @property {(message: M) => void} message  everything but answers, in order
 * @property {(link: Link, code: string | null) => void} link  code: why the server refused
 */

/**
 * @typedef {object} Pending  a command without an answer
 * @property {{kind: string, id: string}} payload
 * @property {(result: Record<string, string>) => void} resolve
 * @property {(error: Error) => void} reject
 */

const FIRST_DELAY_MS = 300;
const LONGEST_DELAY_MS = 5000;
const GROWTH = 1.7;
const REFUSALS = ["link_invalid", "not_signed_in"];

/** The server refused a command; `code` is for programs, the message for people. */
export class CommandRefused extends Error {
  /** @param {string} code  @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = "CommandRefused";
    this.code = code;
  }
}

/** @returns {string}  128 random bits, hexadecimal: fits every id of the protocol */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {number} attempt  0 for the first
 * @param {number} random  in [0, 1)
 * @returns {number} milliseconds to wait before this attempt, half of it jitter
 */
export function retryDelayMs(attempt, random) {
  const whole = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * GROWTH ** attempt);
  return whole * (0.5 + random / 2);
}

/**
 * @param {unknown} error  of socket.io's `connect_error`
 * @returns {string | null} the server's refusal, null where the network failed
 */
export function refusal(error) {
  if (!(error instanceof Error)) return null;
  const data = /** @type {{data?: {code?: unknown}}} */ (error).data;
  const text = `${typeof data?.code === "string" ? data.code : ""} ${error.message}`;
  return REFUSALS.find((code) => text.includes(code)) ?? null;
}

/**
 * @template {{kind: string, id: string}} C  commands
 * @template {{kind: string}} M  messages
 */
export class Signal {
  /** @type {Map<string, Pending>} */
  #pending = new Map();
  #attempt = 0;
  #ready = false;
  #closed = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #transport;
  #listener;

  /**
   * @param {Transport} transport  a socket of one namespace that neither connects nor
   *     reconnects by itself
   * @param {Listener<M>} listener
   */
  constructor(transport, listener) {
    this.#transport = transport;
    this.#listener = listener;
    transport.on("message", (message) => this.#receive(message));
    transport.on("disconnect", () => this.#lost(null));
    transport.on("connect_error", (error) => this.#lost(refusal(error)));
  }

  /** Connect, and stay connected until `close` or a goodbye. */
  open() {
    if (!this.#closed) return;
    this.#closed = false;
    this.#attempt = 0;
    this.#listener.link("connecting", null);
    this.#transport.connect();
  }

  /** Disconnect for good; commands without an answer are rejected. */
  close() {
    this.#stop();
    this.#transport.disconnect();
  }

  /** The network came back: do not wait for the next attempt. */
  hurry() {
    if (this.#closed || this.#ready || this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#transport.connect();
  }

  /** The connection may be dead though nothing said so: make another one now. */
  reconnect() {
    if (this.#closed) return;
    this.#transport.disconnect();
    if (this.#timer === undefined) this.#lost(null); // it was not connected yet
    this.hurry();
  }

  /**
   * Send a command, now or as soon as there is a connection, as often as it takes.
   * @param {import("./protocol").Unsent<C>} fields
   * @param {AbortSignal} [abort]  give up waiting, and do not send it again
   * @returns {Promise<Record<string, string>>} the answer's result
   * @throws {CommandRefused}
   */
  command(fields, abort) {
    const id = newId();
    const payload = { .../** @type {{kind: string}} */ (/** @type {unknown} */ (fields)), id };
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new CommandRefused("closed", "the connection is closed"));
        return;
      }
      if (abort?.aborted) {
        reject(abort.reason);
        return;
      }
      abort?.addEventListener("abort", () => {
        this.#pending.delete(id);
        reject(abort.reason);
      });
      this.#pending.set(id, { payload, resolve, reject });
      if (this.#ready) this.#transport.emit("command", payload);
    });
  }

  /** @param {M} message */
  #receive(message) {
    if (message.kind === "answer") {
      this.#answer(/** @type {Answer} */ (/** @type {unknown} */ (message)));
      return;
    }
    if (message.kind === "goodbye") {
      const { code } = /** @type {{code: GoodbyeCode}} */ (/** @type {unknown} */ (message));
      if (code !== "server_stopping") this.#stop();
      this.#transport.disconnect(); // the server's half may stay open until its next ping
    }
    this.#listener.message(message);
    if (message.kind === "hello") this.#resume();
  }

  #resume() {
    this.#ready = true;
    this.#attempt = 0;
    this.#listener.link("online", null);
    for (const { payload } of this.#pending.values()) this.#transport.emit("command", payload);
  }

  /** @param {Answer} answer */
  #answer(answer) {
    const pending = this.#pending.get(answer.command_id);
    if (!pending) return; // given up, or the second answer to a command sent twice
    this.#pending.delete(answer.command_id);
    if (answer.ok) pending.resolve(answer.result);
    else
      pending.reject(
        new CommandRefused(answer.error?.code ?? "unknown", answer.error?.message ?? ""),
      );
  }

  /** @param {string | null} code */
  #lost(code) {
    this.#ready = false;
    if (this.#closed) return;
    if (code !== null) {
      this.#stop();
      this.#listener.link("refused", code);
      return;
    }
    this.#listener.link("lost", null);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#transport.connect();
    }, retryDelayMs(this.#attempt, Math.random()));
    this.#attempt += 1;
  }

  #stop() {
    this.#closed = true;
    this.#ready = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { reject } of this.#pending.values())
      reject(new CommandRefused("closed", "the connection is closed"));
    this.#pending.clear();
  }
}
