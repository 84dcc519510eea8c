/**
 * The states of one pairing, as the browser names them, and the record of each change.
 * @module
 */
//# allFunctionsCalledOnLoad

/** @import { PeerStates, Role, Stage } from "./types.d.ts" */
/** @import { Trace } from "./trace.js" */

/** How each state is called in the trace. @type {Readonly<Record<keyof PeerStates, string>>} */
const TRACE_NAMES = Object.freeze({
  signaling: "signalingState",
  gathering: "iceGatheringState",
  ice: "iceConnectionState",
  connection: "connectionState",
  channel: "channelState",
  liveness: "liveness",
});

/** Before there is a connection, a fresh one's states hold. @type {Readonly<PeerStates>} */
const INITIAL = Object.freeze({
  signaling: "stable",
  gathering: "new",
  ice: "new",
  connection: "new",
  channel: "none",
  liveness: "unknown",
});

/** States that are no part of a handshake, but of what comes after it. */
const AFTERWARDS = new Set(["disconnected", "failed", "closing", "closed"]);

/** Holds the states; whoever learns of a change tells it here, and here only it is recorded. */
export class StateBoard {
  /** @type {Readonly<PeerStates>} */ #now = INITIAL;
  /** @type {Role} */ #role;
  /** @type {Trace} */ #trace;
  /** @type {(states: Readonly<PeerStates>, before: Readonly<PeerStates>) => void} */ #onchange;

  /**
   * @param {Role} role @param {Trace} trace
   * @param {(states: Readonly<PeerStates>, before: Readonly<PeerStates>) => void} onchange
   */
  constructor(role, trace, onchange) {
    this.#role = role;
    this.#trace = trace;
    this.#onchange = onchange;
  }

  get now() {
    return this.#now;
  }

  /** @param {Partial<PeerStates>} changes */
  update(changes) {
    const before = this.#now;
    const keys = /** @type {(keyof PeerStates)[]} */ (Object.keys(changes)).filter((key) => changes[key] !== before[key]);
    if (keys.length === 0) return;
    this.#now = Object.freeze({ ...before, ...changes });
    for (const key of keys) {
      const detail = { from: before[key], to: this.#now[key] };
      this.#trace.note(stageOf(this.#role, key, this.#now), "state", TRACE_NAMES[key], detail);
    }
    this.#onchange(this.#now, before);
  }

  /** @param {RTCPeerConnection} connection */
  read(connection) {
    this.update({
      signaling: connection.signalingState,
      gathering: connection.iceGatheringState,
      ice: connection.iceConnectionState,
      connection: connection.connectionState,
    });
  }
}

/**
 * The stage of docs/handshake.md a change belongs to; null once the handshake is over.
 * @param {Role} role @param {keyof PeerStates} key @param {Readonly<PeerStates>} now
 * @returns {Stage | null}
 */
function stageOf(role, key, now) {
  if (key === "liveness" || AFTERWARDS.has(now[key])) return null;
  const own = role === "PEER1" ? 1 : 3;
  if (key === "gathering" || now[key] === "have-local-offer" || now[key] === "have-remote-offer") return own;
  if (key === "signaling") return role === "PEER1" ? 5 : 3;
  return key === "channel" && now.channel === "connecting" ? own : 5;
}
