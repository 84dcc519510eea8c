/**
 * What a page did, seen from below the library: the browser's own objects, counted as they are made.
 * @module
 */

/**
 * Runs in a page before its scripts. `globalThis.seen` then tells what went on.
 */
export function spy() {
  /** @type {any} */
  const seen = {
    // text frames handed to WebSockets, and received
    sent: [],
    received: [],
    sockets: [],
    connections: [],
    // data channels, by createDataChannel and by event
    made: [],
    got: [],
    // candidates added, and those of them added while there was no remote description
    added: 0,
    early: 0,
    // timers that are set: intervals, and timeouts with their delays
    intervals: new Set(),
    timeouts: new Map(),
  };
  Object.assign(globalThis, { seen });

  globalThis.WebSocket = class extends WebSocket {
    /** @param {string | URL} url @param {string | string[]} [protocols] */
    constructor(url, protocols) {
      super(url, protocols);
      seen.sockets.push(this);
      this.addEventListener("message", ({ data }) => seen.received.push(String(data)));
    }
    /** @override @param {any} data */
    send(data) {
      seen.sent.push(String(data));
      super.send(data);
    }
  };

  globalThis.RTCPeerConnection = /** @type {any} */ (class extends RTCPeerConnection {
    /** @param {RTCConfiguration} configuration */
    constructor(configuration) {
      super(configuration);
      seen.connections.push(this);
      this.addEventListener("datachannel", ({ channel }) => seen.got.push(channel));
    }
    /** @override @param {string} label @param {RTCDataChannelInit} options */
    createDataChannel(label, options) {
      const channel = super.createDataChannel(label, options);
      seen.made.push(channel);
      return channel;
    }
    /** @override @param {any} candidate */
    addIceCandidate(candidate) {
      seen.added += 1;
      if (!this.remoteDescription) seen.early += 1;
      return super.addIceCandidate(candidate);
    }
  });

  const { setInterval, clearInterval, setTimeout, clearTimeout } = globalThis;
  globalThis.setInterval = /** @type {any} */ ((/** @type {any[]} */ ...args) => {
    const id = /** @type {any} */ (setInterval)(...args);
    seen.intervals.add(id);
    return id;
  });
  globalThis.clearInterval = (id) => {
    seen.intervals.delete(id);
    clearInterval(id);
  };
  globalThis.setTimeout = /** @type {any} */ ((/** @type {Function} */ run, /** @type {number} */ ms, /** @type {any[]} */ ...args) => {
    const id = /** @type {any} */ (setTimeout)(() => {
      seen.timeouts.delete(id);
      run(...args);
    }, ms);
    seen.timeouts.set(id, ms);
    return id;
  });
  globalThis.clearTimeout = (id) => {
    seen.timeouts.delete(id);
    clearTimeout(id);
  };
}

/**
 * What was seen, as plain values; of the channels their label and options. Runs in the page.
 * @returns {{ sent: any[], received: any[], sockets: number[], connections: string[], made: object[], got: object[], early: number,
 *   added: number, intervals: number, timeouts: number[] }}
 */
export function sightings() {
  const { seen } = /** @type {any} */ (globalThis);
  const describe = (/** @type {RTCDataChannel} */ channel) => ({
    label: channel.label,
    protocol: channel.protocol,
    ordered: channel.ordered,
    maxRetransmits: channel.maxRetransmits,
    maxPacketLifeTime: channel.maxPacketLifeTime,
    negotiated: channel.negotiated,
    id: channel.id,
  });
  return {
    sent: seen.sent.map((/** @type {string} */ text) => JSON.parse(text)),
    received: seen.received.map((/** @type {string} */ text) => JSON.parse(text)),
    sockets: seen.sockets.map((/** @type {WebSocket} */ { readyState }) => readyState),
    connections: seen.connections.map((/** @type {RTCPeerConnection} */ { connectionState }) => connectionState),
    made: seen.made.map(describe),
    got: seen.got.map(describe),
    early: seen.early,
    added: seen.added,
    intervals: seen.intervals.size,
    timeouts: [...seen.timeouts.values()],
  };
}
