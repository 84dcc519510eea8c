/**
 * A connection made while one waits, so that whoever joins need not wait for it.
 *
 * Where its ICE servers are STUN servers only it has also gathered: its candidates are known to nobody, its ports are open, and the
 * browser keeps them alive with a small packet to the STUN server every ten seconds. A relay's allocation would be too dear to hold.
 * As networks change, what was gathered is renewed after a minute, when the network is back, and when the server is.
 * @module
 */
//# allFunctionsCalledOnLoad

/** So long, in ms, one is kept before another takes its place: a script is not told when a network it gathered on is gone. */
const FRESH = 60_000;

/** What every connection of ours is configured with, the ICE servers apart. @type {Readonly<RTCConfiguration>} */
const BASE = Object.freeze({ bundlePolicy: "max-bundle" });

/** @param {RTCIceServer[]} iceServers @returns {RTCConfiguration} */
export function configurationFor(iceServers) {
  return { ...BASE, iceServers };
}

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

  /** Makes one, unless there is one for these servers. @param {RTCIceServer[]} servers */
  prepare(servers) {
    const wanted = JSON.stringify(servers);
    if (this.#connection && this.#servers === wanted) return;
    this.close();
    try {
      this.#connection = new RTCPeerConnection({ ...configurationFor(servers), ...gatheringAhead(servers) });
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

/** @param {RTCIceServer[]} servers @returns {RTCConfiguration} */
function gatheringAhead(servers) {
  const relayed = servers.some(({ urls }) => [urls].flat().some((url) => !/^stuns?:/i.test(url)));
  return relayed ? {} : { iceCandidatePoolSize: 1 };
}
