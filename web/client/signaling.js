/**
 * The conversation with the signaling server: one WebSocket, requests with answers, and coming back after a loss.
 *
 * docs/protocol.md is normative. This module knows messages and connections, not rooms: what to say on a new connection
 * (`resume`) is the owner's to decide.
 * @module
 */
//# allFunctionsCalledOnLoad
import { retryDelay } from "./backoff.js";
import { CrowflyError, asCrowflyError } from "./errors.js";

/** The protocol version spoken here, docs/protocol.md. */
const PROTOCOL = 1;
/** An absent or silent server is an error after this long. */
export const PATIENCE = 10_000;
/** Whether the server is there is asked so often: its own pings are the browser's to see, not a script's. */
const ASK_EVERY = 25_000;
/** And when something may have happened to the network: it came back, or the page did, from sleep perhaps. */
const OCCASIONS = ["online", "visibilitychange"];

/**
 * @typedef {Record<string, unknown> & { type: string }} Message
 *
 * @typedef {object} SignalingOptions
 * @property {string} url
 * @property {(message: Message) => void} onmessage what answers no request
 * @property {(reason: string) => void} onoffline the connection is lost, with the server's reason; coming back has begun
 * @property {(welcome: Message) => Promise<void>} onreturn a new connection: take the seat back. Rejecting means try again later
 * @property {() => boolean} urgent whether a peer is waiting for the server's return
 */

/** A connection to a signaling server that comes back by itself. */
export class Signaling {
  /** @type {SignalingOptions} */ #options;
  /** @type {WebSocket | null} with a welcome received */ #socket = null;
  #closed = new AbortController();
  /** Whether coming back is under way: one attempt at a time. */ #returning = false;
  #nextId = 1;
  /** @type {Map<number, { resolve: (answer: Message) => void, reject: (error: unknown) => void, timer: ReturnType<typeof setTimeout> }>} */
  #pending = new Map();

  /** @param {SignalingOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * Connects for the first time; fails clearly within ten seconds rather than trying again.
   * @returns {Promise<Message>} the welcome
   */
  async connect() {
    try {
      return await this.#open();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Sends a request. Rejects with the server's error, or when the connection ends first.
   * @param {string} type @param {Record<string, unknown>} [fields]
   * @returns {Promise<Message>}
   */
  request(type, fields = {}) {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const silent = () => this.#settle(id)?.reject(new CrowflyError("server-silent", `the server did not answer ${type}`));
      this.#pending.set(id, { resolve, reject, timer: setTimeout(silent, PATIENCE) });
      if (!this.send(type, { id, ...fields })) this.#settle(id)?.reject(lost(type));
    });
  }

  /**
   * Sends what has no answer. False when there is no connection.
   * @param {string} type @param {Record<string, unknown>} fields
   */
  send(type, fields) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify({ type, ...fields }));
    return true;
  }

  /** Ends the connection for good. Harmless when repeated. */
  close() {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#socket?.close(1000);
    this.#socket = null;
    this.#abandon();
  }

  /** One WebSocket, until its welcome. @returns {Promise<Message>} */
  #open() {
    const { url } = this.#options;
    return new Promise((resolve, reject) => {
      if (!globalThis.WebSocket) return reject(new CrowflyError("unsupported", "this browser has no WebSocket"));
      const socket = new WebSocket(url);
      const ended = new AbortController();
      const listening = { signal: ended.signal };
      /** @param {CrowflyError} error */
      const fail = (error) => {
        clearTimeout(timer);
        ended.abort();
        socket.close();
        reject(error);
      };
      const timer = setTimeout(() => fail(new CrowflyError("server-silent", `nothing heard from ${url}`)), PATIENCE);
      const gone = () => fail(new CrowflyError("server-unreachable", `could not reach ${url}`));
      this.#closed.signal.addEventListener("abort", gone, listening);
      socket.addEventListener("close", gone, listening);
      socket.addEventListener(
        "message",
        ({ data }) => {
          clearTimeout(timer);
          ended.abort();
          const welcome = readMessage(data);
          if (welcome?.type !== "welcome" || welcome.protocol !== PROTOCOL) {
            socket.close();
            return reject(new CrowflyError("unsupported-protocol", `${url} speaks another protocol`));
          }
          this.#use(socket);
          resolve(welcome);
        },
        listening,
      );
    });
  }

  /** @param {WebSocket} socket */
  #use(socket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const message = readMessage(data);
      if (!message || this.#socket !== socket) return;
      const request = typeof message.id === "number" ? this.#settle(message.id) : undefined;
      if (!request) this.#options.onmessage(message);
      else if (message.type === "error") request.reject(serverError(message));
      else request.resolve(message);
    });
    const over = this.#watch(socket);
    socket.addEventListener("close", ({ reason }) => {
      over.abort();
      this.#lose(socket, reason);
    });
  }

  /** @param {WebSocket} socket @param {string} reason */
  #lose(socket, reason) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#abandon();
    this.#options.onoffline(reason);
    this.#comeBack();
  }

  /**
   * Finds out when the other end is gone without a word: a WebSocket tells of it only when the system has given up what was sent, which
   * may take a quarter of an hour. Aborting the result ends it.
   * @param {WebSocket} socket
   */
  #watch(socket) {
    const over = new AbortController();
    let asking = false;
    const ask = async () => {
      if (asking || this.#socket !== socket) return;
      asking = true;
      const silent = await this.request("ping").then(() => false, ({ code }) => code === "server-silent");
      asking = false;
      if (!silent || this.#socket !== socket) return;
      over.abort();
      this.#lose(socket, "");
      socket.close(); // it waits for an answer that will not come
    };
    const timer = setInterval(ask, ASK_EVERY);
    over.signal.addEventListener("abort", () => clearInterval(timer));
    this.#closed.signal.addEventListener("abort", () => over.abort(), { signal: over.signal });
    for (const type of OCCASIONS) globalThis.addEventListener?.(type, ask, { signal: over.signal });
    return over;
  }

  /** Tries until it is back, or closed. A connection lost again before the seat is taken back is one more attempt of the same loop. */
  async #comeBack() {
    if (this.#returning) return;
    this.#returning = true;
    const lost = performance.now();
    for (let attempt = 0; !this.#closed.signal.aborted; attempt++) {
      const away = performance.now() - lost;
      await this.#pause(retryDelay(attempt, { urgent: this.#options.urgent(), away }));
      if (this.#closed.signal.aborted || (await this.#returned())) break;
    }
    this.#returning = false;
  }

  /** One attempt to come back; the owner says what there is to say of a failure. */
  async #returned() {
    try {
      await this.#options.onreturn(await this.#open());
      return true;
    } catch {
      const socket = this.#socket;
      this.#socket = null;
      socket?.close();
      return false;
    }
  }

  /** Waits, but not longer than until the network is back or this is closed. @param {number} ms */
  #pause(ms) {
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const over = new AbortController();
        const done = () => {
          clearTimeout(timer);
          over.abort();
          resolve();
        };
        const timer = setTimeout(done, ms);
        this.#closed.signal.addEventListener("abort", done, { signal: over.signal });
        globalThis.addEventListener?.("online", done, { signal: over.signal });
      })
    );
  }

  /** @param {number} id */
  #settle(id) {
    const request = this.#pending.get(id);
    clearTimeout(request?.timer);
    this.#pending.delete(id);
    return request;
  }

  /** Requests that can have no answer any more. */
  #abandon() {
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(lost("the request"));
  }
}

/** @param {unknown} data @returns {Message | null} */
function readMessage(data) {
  try {
    const message = JSON.parse(String(data));
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null; // a server that speaks something else; its silence is noticed by time
  }
}

/** @param {Message} message */
export function serverError(message) {
  return new CrowflyError(String(message.code ?? "server-error"), String(message.message ?? "the server refused"));
}

/** @param {string} what */
function lost(what) {
  return asCrowflyError(new Error("the connection to the server was lost"), "server-unreachable", `could not finish ${what}`);
}
