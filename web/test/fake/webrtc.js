/**
 * A small, strict RTCPeerConnection without a network: it keeps the state rules of W3C WebRTC §4 and throws where a browser throws,
 * so that a client which breaks them fails here. Two of them connect when each has the other's description and a candidate of it.
 *
 * What a test wants to know is on {@link FakeWebRTC}: every connection made, every candidate added and in which order.
 */

/** A world of connections that can find each other. */
export class FakeWebRTC {
  /** @type {FakePeerConnection[]} */ connections = [];
  /** Candidates each connection finds by itself after setLocalDescription. */
  candidates = 2;
  /** Whether gathering goes by itself; else {@link FakePeerConnection.gather} does it. */
  gathers = true;
  /** Whether packets pass. */
  passes = true;
  /** Whether connections can gather ahead (iceCandidatePoolSize), as Chromium's can and Firefox's cannot. */
  pools = true;
  #next = 1;

  /** The class to put at globalThis.RTCPeerConnection. */
  get RTCPeerConnection() {
    const world = this;
    return class extends FakePeerConnection {
      /** @param {RTCConfiguration} [configuration] */
      constructor(configuration) {
        super(world, configuration);
      }
    };
  }

  name() {
    return `u${this.#next++}`;
  }

  /** Connects whoever can be. */
  connect() {
    for (const one of this.connections) {
      const other = this.connections.find((candidate) => candidate !== one && one.expects(candidate) && candidate.expects(one) && one.reaches(candidate));
      if (other && this.passes) {
        one.link(other);
        other.link(one);
      }
    }
  }
}

/** @param {string} name @param {string} message */
function fail(name, message) {
  return new DOMException(message, name);
}

/** @param {string | undefined} sdp */
function ufragOf(sdp) {
  return /a=ice-ufrag:(\S+)/.exec(sdp ?? "")?.[1] ?? null;
}

/** One side. */
export class FakePeerConnection extends EventTarget {
  signalingState = "stable";
  iceGatheringState = "new";
  iceConnectionState = "new";
  connectionState = "new";
  sctp = { maxMessageSize: 262_144 };
  /** @type {{ type: string, sdp: string } | null} */ #currentLocal = null;
  /** @type {{ type: string, sdp: string } | null} */ #pendingLocal = null;
  /** @type {{ type: string, sdp: string } | null} */ #currentRemote = null;
  /** @type {{ type: string, sdp: string } | null} */ #pendingRemote = null;
  /** What was added, in order. @type {RTCIceCandidateInit[]} */ added = [];
  /** @type {string[]} */ #found = [];
  /** @type {FakeDataChannel[]} */ channels = [];
  /** @type {FakePeerConnection | null} */ other = null;
  #restart = false;
  #chain = Promise.resolve();
  #created = "";

  /** @param {FakeWebRTC} world @param {RTCConfiguration} [configuration] */
  constructor(world, configuration = {}) {
    super();
    this.world = world;
    this.configuration = configuration;
    this.ufrag = world.name();
    world.connections.push(this);
  }

  get localDescription() {
    const description = this.#pendingLocal ?? this.#currentLocal;
    return description && { ...description, sdp: description.sdp + this.#found.map((candidate) => `a=${candidate}\r\n`).join("") };
  }
  get remoteDescription() {
    return this.#pendingRemote ?? this.#currentRemote;
  }

  getConfiguration() {
    const { iceCandidatePoolSize, ...others } = this.configuration;
    return this.world.pools ? { iceCandidatePoolSize: iceCandidatePoolSize ?? 0, ...others } : others;
  }

  /** @param {RTCConfiguration} configuration */
  setConfiguration(configuration) {
    this.#open();
    this.configuration = configuration;
  }

  /** @param {string} label @param {RTCDataChannelInit} [init] */
  createDataChannel(label, init = {}) {
    this.#open();
    const channel = new FakeDataChannel(this, label, init);
    this.channels.push(channel);
    if (this.channels.length === 1) queueMicrotask(() => this.#fire("negotiationneeded"));
    if (this.connectionState === "connected" && this.other) channel.announce(this.other);
    return channel;
  }

  createOffer() {
    return this.#enqueue(() => {
      if (this.signalingState !== "stable" && this.signalingState !== "have-local-offer") throw fail("InvalidStateError", "no offer now");
      return this.#describe("offer");
    });
  }

  createAnswer() {
    return this.#enqueue(() => {
      if (this.signalingState !== "have-remote-offer") throw fail("InvalidStateError", "no offer to answer");
      return this.#describe("answer");
    });
  }

  /** @param {RTCLocalSessionDescriptionInit} [description] */
  setLocalDescription(description) {
    return this.#enqueue(async () => {
      const wanted = description ?? this.#describe(this.signalingState === "have-remote-offer" ? "answer" : "offer");
      const { type, sdp = "" } = /** @type {{ type: string, sdp?: string }} */ (wanted);
      if (sdp !== this.#created) throw fail("InvalidModificationError", "not what was created");
      if (type === "offer") this.#expect("stable", "have-local-offer");
      else this.#expect("have-remote-offer", "have-local-pranswer");
      const again = this.signalingState === "have-local-pranswer";
      if (type === "answer") this.#settle({ type, sdp }, this.#pendingRemote);
      else {
        if (type === "pranswer" && !this.world.pools) throw fail("NotSupportedError", "no provisional answers");
        this.#pendingLocal = { type, sdp };
        this.#signaling(type === "offer" ? "have-local-offer" : "have-local-pranswer");
        if (type === "pranswer") queueMicrotask(() => this.world.connect());
      }
      if (!again) this.#found = [];
      if (this.world.gathers && !again) queueMicrotask(() => this.gather());
    });
  }

  /** @param {RTCSessionDescriptionInit} description */
  setRemoteDescription({ type, sdp = "" }) {
    return this.#enqueue(async () => {
      if (!sdp.startsWith("v=0")) throw fail("OperationError", "not SDP");
      if (type === "offer") {
        if (this.signalingState === "have-local-offer") {
          this.#pendingLocal = null; // rollback
          this.#signaling("stable");
        }
        this.#expect("stable", "have-remote-offer");
        this.#pendingRemote = { type, sdp };
        this.#signaling("have-remote-offer");
      } else {
        this.#expect("have-local-offer");
        this.#settle(this.#pendingLocal, { type, sdp });
      }
    });
  }

  /** @param {RTCIceCandidateInit} candidate */
  addIceCandidate(candidate) {
    return this.#enqueue(async () => {
      if (!this.remoteDescription) throw fail("InvalidStateError", "a candidate before a remote description");
      const { usernameFragment } = candidate;
      if (usernameFragment && usernameFragment !== ufragOf(this.remoteDescription.sdp)) throw fail("OperationError", "another generation's candidate");
      this.added.push(candidate);
      this.world.connect();
    });
  }

  restartIce() {
    this.#open();
    this.#restart = true;
    queueMicrotask(() => this.#fire("negotiationneeded"));
  }

  async getStats() {
    this.#open();
    return new Map();
  }

  close() {
    if (this.signalingState === "closed") return;
    this.signalingState = this.connectionState = this.iceConnectionState = "closed";
    for (const channel of this.channels) channel.shut();
    const other = this.other;
    this.other = null;
    if (other?.other === this && this.world.passes) queueMicrotask(() => other.channels.forEach((channel) => channel.shut()));
  }

  // What a test does

  /** Finds the candidates. */
  gather(count = this.world.candidates) {
    if (this.signalingState === "closed") return;
    this.#gathering("gathering");
    for (let port = 1; port <= count; port++) this.found(port);
    this.#gathering("complete");
    this.#fire("icecandidate", { candidate: null });
  }

  /** @param {number} port */
  found(port) {
    const init = candidateOf(this.ufrag, port);
    this.#found.push(init.candidate ?? "");
    this.#fire("icecandidate", { candidate: { ...init, toJSON: () => init } });
  }

  /** The path is gone, or back. @param {string} state */
  become(state) {
    this.connectionState = state;
    this.iceConnectionState = state === "connecting" ? "checking" : state;
    this.#fire("iceconnectionstatechange");
    this.#fire("connectionstatechange");
  }

  /** A channel the other side opened arrives. @param {FakeDataChannel} channel */
  incoming(channel) {
    this.channels.push(channel);
    this.#fire("datachannel", { channel });
  }

  // What the world does

  /** Whether both descriptions are in place here. @param {FakePeerConnection} other */
  expects(other) {
    const { signalingState: state } = this;
    return (state === "stable" || state === "have-local-pranswer") && ufragOf(this.remoteDescription?.sdp) === other.ufrag;
  }

  /** Whether checks go out from here; they tell the other side where they come from (RFC 8445 §7.3.1.3). @param {FakePeerConnection} other */
  reaches(other) {
    const { sdp = "" } = this.remoteDescription ?? {};
    return sdp.includes("a=candidate:") || this.added.some(({ candidate, usernameFragment }) => candidate && usernameFragment === other.ufrag);
  }

  /** @param {FakePeerConnection} other */
  link(other) {
    this.other = other;
    if (this.connectionState === "connected") return;
    this.become("connecting");
    this.become("connected");
    for (const channel of this.channels) if (!channel.remote && !channel.other) queueMicrotask(() => channel.announce(other));
  }

  // Inside

  /** @template T @param {() => T | Promise<T>} operation @returns {Promise<T>} */
  #enqueue(operation) {
    if (this.signalingState === "closed") return Promise.reject(fail("InvalidStateError", "closed"));
    const result = this.#chain.then(() => {
      // Operations of a closed connection never end (W3C WebRTC §4.4.1.2).
      if (this.signalingState === "closed") return new Promise(() => {});
      return operation();
    });
    this.#chain = /** @type {Promise<any>} */ (result).then(() => {}, () => {});
    return /** @type {Promise<T>} */ (result);
  }

  /** @param {"offer" | "answer"} type */
  #describe(type) {
    if (this.#restart || (type === "answer" && this.#currentRemote && ufragOf(this.#pendingRemote?.sdp) !== ufragOf(this.#currentRemote.sdp))) {
      this.ufrag = this.world.name();
      this.#restart = false;
    }
    this.#created = `v=0\r\no=- ${this.world.name()}\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:${this.ufrag}\r\n`;
    return { type, sdp: this.#created };
  }

  /** @param {{ type: string, sdp: string } | null} local @param {{ type: string, sdp: string } | null} remote */
  #settle(local, remote) {
    this.#currentLocal = local;
    this.#currentRemote = remote;
    this.#pendingLocal = this.#pendingRemote = null;
    this.#signaling("stable");
    queueMicrotask(() => this.world.connect());
  }

  #open() {
    if (this.signalingState === "closed") throw fail("InvalidStateError", "closed");
  }

  /** @param {...string} states */
  #expect(...states) {
    if (!states.includes(this.signalingState)) throw fail("InvalidStateError", `in ${this.signalingState}`);
  }

  /** @param {string} state */
  #signaling(state) {
    this.signalingState = state;
    this.#fire("signalingstatechange");
  }

  /** @param {string} state */
  #gathering(state) {
    this.iceGatheringState = state;
    this.#fire("icegatheringstatechange");
  }

  /** @param {string} type @param {object} [fields] */
  #fire(type, fields = {}) {
    if (this.signalingState !== "closed") this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}

/** One end of a data channel. */
export class FakeDataChannel extends EventTarget {
  readyState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType = "blob";
  /** @type {FakeDataChannel | null} */ other = null;
  /** Set when nothing leaves: bytes pile up until {@link drain}. */
  stuck = false;
  /** @type {(string | ArrayBuffer)[]} */ sent = [];
  /** @type {(string | ArrayBuffer)[]} */ #waiting = [];

  /** @param {FakePeerConnection | null} connection @param {string} label @param {RTCDataChannelInit} [init] */
  constructor(connection, label, init = {}, remote = false) {
    super();
    this.connection = connection;
    this.label = label;
    this.remote = remote;
    this.init = init;
    this.protocol = init.protocol ?? "";
    this.ordered = init.ordered ?? true;
    this.maxRetransmits = init.maxRetransmits ?? null;
    this.maxPacketLifeTime = init.maxPacketLifeTime ?? null;
    this.negotiated = init.negotiated ?? false;
    this.id = init.id ?? null;
  }

  /** @param {FakePeerConnection} there */
  announce(there) {
    if (this.readyState !== "connecting" || this.other) return;
    const twin = new FakeDataChannel(there, this.label, this.init, true);
    this.other = twin;
    twin.other = this;
    there.incoming(twin);
    twin.opened();
    this.opened();
  }

  opened() {
    this.readyState = "open";
    this.dispatchEvent(new Event("open"));
  }

  /** @param {string | ArrayBuffer | ArrayBufferView} data */
  send(data) {
    if (this.readyState !== "open") throw fail("InvalidStateError", "not open");
    const copy = typeof data === "string" ? data : ArrayBuffer.isView(data) ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) : data.slice(0);
    const size = typeof copy === "string" ? Buffer.byteLength(copy) : copy.byteLength;
    if (size > (this.connection?.sctp.maxMessageSize ?? Infinity)) throw new TypeError("message too large");
    this.sent.push(/** @type {any} */ (copy));
    this.bufferedAmount += size;
    this.#waiting.push(/** @type {any} */ (copy));
    if (!this.stuck) queueMicrotask(() => this.drain());
  }

  /** Everything that waits leaves. */
  drain() {
    const above = this.bufferedAmount > this.bufferedAmountLowThreshold;
    this.bufferedAmount = 0;
    for (const data of this.#waiting.splice(0)) {
      if (this.connection?.world.passes !== false) this.other?.deliver(data);
    }
    if (above) this.dispatchEvent(new Event("bufferedamountlow"));
  }

  /** @param {unknown} data */
  deliver(data) {
    if (this.readyState === "open") this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  close() {
    if (this.readyState === "closed") return;
    this.readyState = "closing";
    queueMicrotask(() => {
      this.shut();
      if (this.connection?.world.passes !== false) this.other?.shut();
    });
  }

  shut() {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    this.dispatchEvent(new Event("close"));
  }
}

/** @param {string} ufrag @param {number} port @returns {RTCIceCandidateInit} */
export function candidateOf(ufrag, port) {
  return { candidate: `candidate:${port} 1 udp 2122260223 192.0.2.2 ${50_000 + port} typ host`, sdpMid: "0", sdpMLineIndex: 0, usernameFragment: ufrag };
}
