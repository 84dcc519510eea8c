/**
 * A connection made while one waits, so that whoever joins need not wait for it. It gathers nothing and sends nothing before use.
 * @module
 */

/** What every connection of ours is configured with, the ICE servers apart. @type {Readonly<RTCConfiguration>} */
const BASE = Object.freeze({ bundlePolicy: "max-bundle" });

/** @param {RTCIceServer[]} iceServers @returns {RTCConfiguration} */
export function configurationFor(iceServers) {
  return { ...BASE, iceServers };
}

/** At most one connection in reserve. */
export class Spare {
  /** @type {RTCPeerConnection | null} */ #connection = null;
  #servers = "";

  /** Makes one, unless there is one for these servers. @param {RTCIceServer[]} servers */
  prepare(servers) {
    const wanted = JSON.stringify(servers);
    if (this.#connection && this.#servers === wanted) return;
    this.close();
    try {
      this.#connection = new RTCPeerConnection(configurationFor(servers));
      this.#servers = wanted;
    } catch {
      // Without WebRTC, or with too many connections open: whoever needs one then says why it cannot be had.
    }
  }

  /** Hands it over, if it fits. @param {RTCIceServer[]} servers */
  take(servers) {
    const connection = this.#servers === JSON.stringify(servers) ? this.#connection : null;
    if (connection) this.#connection = null;
    return connection;
  }

  /** Harmless when repeated. */
  close() {
    this.#connection?.close();
    this.#connection = null;
  }
}
