/**
 * A connection made while one waits, so that whoever joins need not wait for it.
 *
 * Where its ICE servers are STUN servers only it has also gathered: its candidates are known to nobody, its ports are open, and the
 * browser keeps them alive with a small packet to the STUN server every ten seconds. A relay's allocation would be too dear to hold.
 * @module
 */
//# allFunctionsCalledOnLoad

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

  /** Makes one, unless there is one for these servers. @param {RTCIceServer[]} servers */
  prepare(servers) {
    const wanted = JSON.stringify(servers);
    if (this.#connection && this.#servers === wanted) return;
    this.close();
    try {
      this.#connection = new RTCPeerConnection({ ...configurationFor(servers), ...gatheringAhead(servers) });
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

/** @param {RTCIceServer[]} servers @returns {RTCConfiguration} */
function gatheringAhead(servers) {
  const relayed = servers.some(({ urls }) => [urls].flat().some((url) => !/^stuns?:/i.test(url)));
  return relayed ? {} : { iceCandidatePoolSize: 1 };
}
