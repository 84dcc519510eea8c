/**
 * A connection made while one waits, so that whoever joins need not wait for it.
 *
 * It has also gathered: its candidates are known to nobody, its ports are open, and the browser keeps them alive with a small packet to
 * the STUN server every ten seconds, and a relay's allocation with one every few minutes. As networks change, what was gathered is
 * renewed after a minute, when the network is back, and when the server is.
 * @module
 */
//# allFunctionsCalledOnLoad

/** @import { RoomOptions } from "./types.d.ts" */

/** So long, in ms, one is kept before another takes its place: a script is not told when a network it gathered on is gone. */
const FRESH = 60_000;

/** What every connection of ours is configured with, the ICE servers apart. @type {Readonly<RTCConfiguration>} */
const BASE = Object.freeze({ bundlePolicy: "max-bundle" });

/** Whether a connection has gathered ahead; Firefox has no such pool. @param {RTCPeerConnection} connection */
export function isPooled(connection) {
  return connection.getConfiguration().iceCandidatePoolSize === 1;
}

/** At most one connection in reserve. */
export class Spare {
  /** @type {RTCPeerConnection | null} */ #connection = null;
  #servers = "";
  #made = 0;
  /** Ends the watch over its age. */ #over = new AbortController();
  #path;

  /** @param {RoomOptions["path"]} path */
  constructor(path) {
    this.#path = path;
  }

  /** What a connection with these servers is configured with. @param {RTCIceServer[]} servers @returns {RTCConfiguration} */
  configuration(servers) {
    if (this.#path === "relay") return { ...BASE, iceServers: servers, iceTransportPolicy: "relay" };
    return { ...BASE, iceServers: this.#path === "direct" ? withoutRelays(servers) : servers };
  }

  /** Makes one, unless there is one for these servers. @param {RTCIceServer[]} servers */
  prepare(servers) {
    const wanted = JSON.stringify(servers);
    if (this.#connection && this.#servers === wanted) return;
    this.close();
    try {
      this.#connection = new RTCPeerConnection({ ...this.configuration(servers), iceCandidatePoolSize: 1 });
    } catch {
      return; // without WebRTC, or with too many connections open: whoever needs one then says why it cannot be had
    }
    this.#servers = wanted;
    this.#made = performance.now();
    this.#watch(() => {
      this.close();
      this.prepare(servers);
    });
  }

  /** Hands it over, if it fits. @param {RTCIceServer[]} servers */
  take(servers) {
    const connection = this.#connection;
    // A page that was asleep has not renewed it.
    const fits = this.#servers === JSON.stringify(servers) && performance.now() - this.#made < 2 * FRESH;
    if (!connection || !fits) return null;
    this.#connection = null;
    this.#over.abort();
    return connection;
  }

  /** Harmless when repeated. */
  close() {
    this.#over.abort();
    this.#connection?.close();
    this.#connection = null;
  }

  /** @param {() => void} renew */
  #watch(renew) {
    const over = (this.#over = new AbortController());
    const timer = setTimeout(renew, FRESH);
    over.signal.addEventListener("abort", () => clearTimeout(timer));
    globalThis.addEventListener?.("online", renew, { signal: over.signal });
  }
}

/** @param {RTCIceServer[]} servers */
function withoutRelays(servers) {
  const kept = servers.map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => !/^turns?:/i.test(url)) }));
  return kept.filter(({ urls }) => urls.length > 0);
}
