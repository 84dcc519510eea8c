/**
 * One pairing of two peers from its beginning to its end: handshake, main channel, further channels, liveness.
 *
 * {@link Peer} shows it to the page; room.js begins it, feeds it what the server says, and hears of its end. However it ends, it
 * ends in {@link Pairing.end}.
 * @module
 */
//# allFunctionsCalledOnLoad
import { Channel } from "./channel.js";
import { CrowflyError } from "./errors.js";
import { eventWith } from "./events.js";
import { Liveness, TICK } from "./liveness.js";
import { MainChannel, PROTOCOL } from "./main-channel.js";
import { Negotiation } from "./negotiation.js";
import { payloadName, readPayload } from "./payload.js";
import { Peer } from "./peer.js";
import { StateBoard } from "./states.js";
import { readStats } from "./stats.js";
import { Trace } from "./trace.js";

/** @import { PeerStates, Role, RoomOptions, SendOptions, StepId } from "./types.d.ts" */

/** Further channels open at once; a stranger may open as many as SCTP has ids. */
const MAX_CHANNELS = 64;
/** A Chromium that was told no size by the other side takes it as this (RFC 8841 §6.1). */
const DEFAULT_MESSAGE_SIZE = 65_536;
/** PEER2 waits this long for an offer, PEER1 for an answer. */
const DESCRIPTION_PATIENCE = 15_000;
/** The server said that the other side left; its goodbye in the channel gets this long. */
const GOODBYE_PATIENCE = 500;
/** The other side closed the channel without a goodbye; the server gets this long to say why. */
const REASON_PATIENCE = 1_000;
/** A restarted server is back before the other side is; that gets this long to come back, too, while the two are not connected. */
const RETURN_PATIENCE = 20_000;
/** Messages a second that the trace keeps; a flood is counted. */
const TRACED_MESSAGES = 100;

/**
 * @typedef {object} PairingOptions
 * @property {Role} role
 * @property {string} session
 * @property {string} peerId "" until the server has told it
 * @property {RoomOptions} options
 * @property {import("./spare.js").Spare} spare
 * @property {(payload: Record<string, unknown>) => void} signal
 * @property {(reason: string) => void} onend
 */

/** Everything between two peers. */
export class Pairing {
  /** @type {PairingOptions} */ #options;
  /** @type {Negotiation} */ #negotiation;
  /** @type {StateBoard} */ #board;
  /** @type {RTCDataChannel | null} */ #dataChannel = null;
  /** @type {MainChannel | null} */ #main = null;
  /** @type {Set<Channel>} */ #channels = new Set();
  /** @type {Liveness | null} */ #liveness = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #ticker;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #patience;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #missing;
  #listeners = new AbortController();
  /** @type {string | null} */ #ended = null;
  /** @type {CrowflyError | null} what ended it, if it was an error */ #failure = null;
  #met = false;
  /** Whether a person presses the buttons, here or there. */ #patient = false;
  #opened = false;
  /** Whether the server still has the other side: its connection, its seat. @type {"online" | "offline" | "lost"} */ #presence = "online";
  #online = false;
  #traced = { second: 0, messages: 0 };
  /** Why the other side has left, while its goodbye, or the server's word for it, is waited for. @type {string | null} */ departing = null;

  /** @param {PairingOptions} options */
  constructor(options) {
    const { role, session, options: wanted } = options;
    this.#options = options;
    this.#patient = wanted.steps === true;
    this.peerId = options.peerId;
    this.trace = new Trace({ session, role, onrecord: (record) => this.#emit("trace", { record }) });
    this.#board = new StateBoard(role, this.trace, (states, before) => this.#statesChanged(states, before));
    this.#negotiation = new Negotiation({
      role,
      automatic: !wanted.steps,
      label: wanted.label ?? "crowfly",
      protocol: PROTOCOL,
      spare: options.spare,
      trace: this.trace,
      board: this.#board,
      signal: (payload) => this.#signal(payload),
      onchannel: (channel) => this.#adopt(channel),
      onsteps: () => this.#stepsChanged(),
      onfailure: (error) => this.#fail(error),
    });
    this.peer = new Peer(this);
    if (wanted.iceServers) this.#negotiation.useServers(wanted.iceServers);
    this.#negotiation.start();
  }

  // What the page sees, by way of Peer

  get session() {
    return this.#options.session;
  }
  get role() {
    return this.#options.role;
  }
  get states() {
    return this.#board.now;
  }
  get connection() {
    return this.#negotiation.connection;
  }
  get draft() {
    return this.#negotiation.draft;
  }
  get candidates() {
    return this.#negotiation.candidates;
  }
  get steps() {
    return this.#options.options.steps ? this.#negotiation.steps : [];
  }

  /** @param {string | ArrayBuffer | ArrayBufferView | Blob} data @param {SendOptions} [options] */
  async send(data, options) {
    if (this.#ended !== null) throw new CrowflyError("closed", "the peer has left");
    if (!this.#main || !this.#opened) throw new CrowflyError("not-open", "the channel is not open yet");
    await this.#main.send(data, options);
    this.#traceMessage("sent", data instanceof Blob ? "blob" : typeof data === "string" ? "text" : "binary", sizeOf(data));
  }

  /** @param {string} label @param {RTCDataChannelInit} [init] */
  channel(label, init) {
    const connection = this.connection;
    if (!connection) throw new CrowflyError(this.#ended === null ? "not-open" : "closed", "there is no connection to open a channel on");
    if (init?.protocol === PROTOCOL) throw new CrowflyError("invalid-field", `the protocol ${PROTOCOL} is the main channel's`);
    const create = () => connection.createDataChannel(label, init);
    return this.#extra(this.trace.call(null, "createDataChannel", { label, ...init }, create));
  }

  /** @param {StepId} id */
  press(id) {
    return this.#negotiation.press(id);
  }

  stats() {
    const main = this.#main;
    return readStats(this.connection, {
      roundTrip: this.#liveness?.roundTrip ?? null,
      messagesSent: main?.messagesSent ?? 0,
      messagesReceived: main?.messagesReceived ?? 0,
      bufferedAmount: this.#ended === null ? (main?.bufferedAmount ?? 0) : 0,
    });
  }

  // What the room tells

  /** Whether a channel is open and something was heard on it lately. */
  get live() {
    return this.#opened && this.#ended === null && this.#board.now.liveness === "alive";
  }

  get failure() {
    return this.#failure;
  }
  get opened() {
    return this.#opened;
  }
  get presence() {
    return this.#presence;
  }

  /** @param {RTCIceServer[]} servers */
  useServers(servers) {
    this.#negotiation.useServers(servers);
  }

  /** Newer credentials for the same. @param {RTCIceServer[]} servers */
  renewServers(servers) {
    this.#negotiation.renewServers(servers);
  }

  /** Our own connection to the server. @param {boolean} online */
  setOnline(online) {
    const returned = online && !this.#online && this.#met;
    this.#online = online;
    if (online && !this.#met) this.#meet();
    this.#reachable(returned);
  }

  /** The other side's connection to the server. @param {"online" | "offline" | "lost"} presence */
  setPresence(presence) {
    if (this.#ended !== null) return;
    // Also when nothing was known of its loss: what was sent meanwhile may have gone to a dead connection (docs/protocol.md).
    const returned = presence === "online";
    this.#presence = presence;
    this.trace.note(null, "receive", presence === "lost" ? "peer-left" : `peer-${presence}`);
    if (presence === "lost" && !this.#opened) return this.end("lost");
    const { liveness, channel } = this.#board.now;
    if (presence !== "online" && (liveness === "silent" || channel === "closed")) return this.end("vanished");
    this.#reachable(returned);
  }

  /** The other side is seated, whatever was heard of it before. */
  returned() {
    if (this.#presence !== "online") this.setPresence("online");
  }

  /** The server has forgotten the two of us, and we are back first. */
  missed() {
    if (this.#opened) return this.departed("lost");
    this.setPresence("offline");
    clearTimeout(this.#missing);
    this.#missing = setTimeout(() => {
      if (!this.#opened && this.#presence !== "online") this.end("lost");
    }, RETURN_PATIENCE);
  }

  /** The server says that the other side's seat is free. @param {string} reason */
  departed(reason) {
    // Its connection to the server is not its connection to us.
    if (reason === "lost") return this.setPresence("lost");
    this.trace.note(null, "receive", "peer-left", { reason });
    if (!this.live || this.#board.now.channel !== "open") return this.end(reason);
    // The goodbye in the channel comes behind the last messages; let it.
    this.departing = reason;
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.end(reason), GOODBYE_PATIENCE);
  }

  /** A payload the other side sent in this session. Never throws. @param {unknown} payload */
  receive(payload) {
    if (this.#ended !== null) return;
    this.returned(); // or it could not speak
    const read = readPayload(payload);
    const detail = "problem" in read ? { problem: read.problem } : undefined;
    if (this.#opened && "kind" in read && read.kind === "description") this.trace.conclude();
    this.trace.note(stageOfReceived(this.role, payload), "receive", `signal:${payloadName(payload)}`, detail);
    if ("problem" in read) return this.#signal({ kind: "problem", code: read.problem, about: read.about });
    switch (read.kind) {
      case "goodbye":
        return this.end("goodbye");
      case "steps":
        this.#patient = true;
        this.#described();
        return this.#negotiation.endQuiet(); // a person wants to see the candidates come
      case "silent":
        if (!this.#opened || this.#board.now.liveness === "silent") this.#negotiation.restart();
        return;
      case "problem":
        return this.trace.note(null, "note", "refused-there", { code: read.code, about: read.about });
      case "description":
        this.#described();
        return this.#negotiation.receive(read);
      case "candidates":
        return this.#negotiation.receive(read);
    }
  }

  /** Says goodbye where the other side can hear it. */
  goodbye() {
    if (this.#ended !== null) return;
    this.#main?.goodbye();
    this.trace.note(null, "message", "goodbye-sent");
  }

  /** What is read as it goes is not sent to its end. */
  giveUpBlobs() {
    this.#main?.giveUpBlobs();
  }

  /** Whether something of ours would be overtaken by a goodbye sent now. */
  get queued() {
    return this.#main?.queued === true || [...this.#channels].some((channel) => channel.bufferedAmount > 0);
  }

  /** Whether nothing of ours is still on its way out. */
  get drained() {
    return this.#main?.idle ?? true;
  }

  /** Until something is so, or the time has come. @param {number} until on performance's clock @param {() => boolean} done */
  async wait(until, done) {
    while (this.#ended === null && !done() && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /**
   * The one way out: everything is closed and let go of, and said once.
   * @param {string} reason
   */
  end(reason) {
    if (this.#ended !== null) return;
    this.#ended = reason;
    this.trace.conclude();
    clearInterval(this.#ticker);
    clearTimeout(this.#patience);
    clearTimeout(this.#missing);
    this.#listeners.abort();
    this.#main?.close();
    this.#dataChannel?.close();
    // At once: the browser tells an open channel of its connection's end only later, and would swallow what is sent meanwhile.
    for (const channel of [...this.#channels]) channel.close();
    this.#negotiation.close();
    this.#board.update({ signaling: "closed", ice: "closed", connection: "closed", liveness: "unknown" });
    if (this.#dataChannel) this.#board.update({ channel: "closed" });
    this.#dataChannel = null;
    this.#channels.clear();
    this.trace.note(null, "note", "ended", { reason });
    this.#emit("close", { reason });
    this.#options.onend(reason);
  }

  // Inside

  /** From here on the other side can hear us, and should be heard soon; unless a person presses the buttons there. */
  #meet() {
    this.#met = true;
    if (this.#options.options.steps) this.#signal({ kind: "steps" });
    else this.#patience = setTimeout(() => this.#outOfPatience(), DESCRIPTION_PATIENCE);
  }

  /** The other side is heard; once the channel was open, patience is for its goodbye. */
  #described() {
    if (!this.#opened) clearTimeout(this.#patience);
  }

  /** @param {boolean} returned whether something sent before may have been lost */
  #reachable(returned) {
    if (this.#ended !== null) return;
    const reachable = this.#online && this.#presence === "online";
    this.#negotiation.setOnline(reachable);
    if (!reachable || !returned) return;
    if (!this.#opened) this.#negotiation.resend();
    else if (this.#board.now.liveness === "silent") this.#negotiation.restart();
  }

  /** @param {Record<string, unknown>} payload */
  #signal(payload) {
    if (payload.kind === "problem") this.trace.note(null, "send", "signal:problem", { code: payload.code, about: payload.about });
    if (payload.kind === "silent" || payload.kind === "steps") this.trace.note(null, "send", `signal:${payload.kind}`);
    this.#options.signal(payload);
  }

  #outOfPatience() {
    if (this.role === "PEER2") return this.end("no-offer");
    this.#emit("error", { error: new CrowflyError("no-answer", "no answer to the offer within 15 s") });
  }

  /** The handshake, or a later one, cannot go on. @param {CrowflyError} error */
  #fail(error) {
    if (this.#ended !== null) return;
    this.#emit("error", { error });
    if (this.#opened || this.#options.options.steps) return;
    this.#failure = error;
    this.end("failed");
  }

  #stepsChanged() {
    const steps = this.steps;
    const step = steps.find(({ state }) => state === "running" || state === "ready") ?? null;
    this.#emit("step", { step, steps });
  }

  /** @param {Readonly<PeerStates>} states @param {Readonly<PeerStates>} before */
  #statesChanged(states, before) {
    this.#emit("state", { states });
    if (before.connection === "connected" && states.connection !== "connected") this.trace.conclude();
    if (states.connection !== "failed" || before.connection === "failed" || this.#ended !== null) return;
    if (!this.#opened) this.#unconnected();
    else if (this.#online && this.#presence === "online") this.#negotiation.restart();
    else this.end("vanished");
  }

  /** ICE gave up before it found a way. */
  #unconnected() {
    // Firefox gives up five seconds after both descriptions are set. Where a person presses the buttons that means nothing yet: when
    // PEER1 has set the answer, it makes another offer.
    if (this.#patient && this.role === "PEER2") {
      this.trace.conclude();
      return this.#signal({ kind: "silent" });
    }
    this.#fail(new CrowflyError("connection-failed", "no way was found between the two peers"));
  }

  // Channels

  /** A channel made here or there: the first of our protocol is the main one. @param {RTCDataChannel} channel */
  #adopt(channel) {
    if (!this.#dataChannel && channel.protocol === PROTOCOL) return this.#adoptMain(channel);
    if (channel.protocol === PROTOCOL || this.#channels.size >= MAX_CHANNELS) {
      channel.close();
      this.trace.note(null, "note", "channel-refused", { label: channel.label.slice(0, 64) });
      return;
    }
    this.#emit("channel", { channel: this.#extra(channel) });
  }

  /** @param {RTCDataChannel} channel */
  #extra(channel) {
    const extra = new Channel(channel, {
      maxMessageSize: () => this.#maxMessageSize,
      onchange: (state) => {
        this.trace.note(null, "event", `channel-${state}`, { label: channel.label.slice(0, 64) });
        if (state === "closed") this.#channels.delete(extra);
      },
    });
    this.#channels.add(extra);
    return extra;
  }

  /** @param {RTCDataChannel} channel */
  #adoptMain(channel) {
    this.#dataChannel = channel;
    this.#main = new MainChannel(channel, {
      maxMessageSize: () => this.#maxMessageSize,
      onheard: () => this.#heard(),
      onmessage: (data, name, bytes) => this.#received(data, name, bytes),
      onpong: (id) => this.#liveness?.pong(id, performance.now()),
      ongoodbye: () => {
        this.trace.note(null, "message", "goodbye-received");
        this.end("goodbye");
      },
      onerror: (error) => this.#emit("error", { error }),
      onhostile: () => this.end("failed"),
    });
    const listening = { signal: this.#listeners.signal };
    const update = () => this.#board.update({ channel: channel.readyState });
    channel.addEventListener("open", () => this.#open(), listening);
    channel.addEventListener("closing", update, listening);
    channel.addEventListener("close", () => this.#channelClosed(), listening);
    channel.addEventListener("error", ({ error }) => this.trace.note(null, "event", "channel-error", { error: error.message }), listening);
    this.#board.update({ channel: "connecting" });
  }

  get #maxMessageSize() {
    const size = this.connection?.sctp?.maxMessageSize ?? DEFAULT_MESSAGE_SIZE;
    return size > 0 ? size : Infinity; // 0: any size (RFC 8841 §6)
  }

  #open() {
    if (this.#opened) return;
    this.#opened = true;
    clearTimeout(this.#patience);
    this.#liveness = new Liveness(performance.now());
    this.#ticker = setInterval(() => this.#tick(), TICK);
    this.trace.note(5, "event", "open");
    this.#board.update({ channel: "open", liveness: "alive" });
    this.#tick();
    this.#emit("open", {});
    this.#negotiation.opened();
  }

  /** Without a goodbye: its page is gone, or its seat was taken from elsewhere. The server may be about to say so, and who comes next. */
  #channelClosed() {
    this.trace.note(null, "event", "close");
    this.#board.update({ channel: "closed" });
    if (this.departing !== null) return this.end(this.departing);
    if (!this.#online || this.#presence !== "online") return this.end("vanished");
    this.departing = "vanished";
    clearInterval(this.#ticker);
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.end("vanished"), REASON_PATIENCE);
  }

  /** @param {string | ArrayBuffer | Blob} data @param {string | null} name @param {number} bytes */
  #received(data, name, bytes) {
    this.#traceMessage("received", data instanceof Blob ? "blob" : typeof data === "string" ? "text" : "binary", bytes);
    this.#emit("message", { data, name, channel: this.#dataChannel?.label ?? "" });
  }

  // Liveness

  #heard() {
    this.#liveness?.heard();
    if (this.#board.now.liveness === "silent") this.#board.update({ liveness: "alive" });
  }

  #tick() {
    const liveness = this.#liveness;
    if (!liveness || this.#ended !== null) return;
    const ping = liveness.tick(performance.now());
    if (ping !== null) this.#main?.ping(ping);
    if (liveness.verdict === "gone") this.end("vanished");
    else if (liveness.verdict === "silent" && this.#board.now.liveness !== "silent") this.#silent();
    else if (this.role === "PEER2" && liveness.cry()) this.#signal({ kind: "silent" });
  }

  #silent() {
    this.#board.update({ liveness: "silent" });
    // Not the moment for another path: if the network is only away for a while, ICE finds back to this one by itself, and what is
    // gathered without a network leads nowhere. Another is sought when the server is reached again, when the other side says by way
    // of the server that it hears nothing either, or when ICE has given up.
    if (this.#presence !== "online") this.end("vanished");
  }

  // Telling

  /** @param {"sent" | "received"} name @param {string} kind @param {number} bytes */
  #traceMessage(name, kind, bytes) {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#traced.second) this.#traced = { second, messages: 0 };
    this.#traced.messages += 1;
    if (this.#traced.messages <= TRACED_MESSAGES) this.trace.note(null, "message", name, { kind, bytes });
  }

  /** @param {string} type @param {Record<string, unknown>} fields */
  #emit(type, fields) {
    this.peer?.dispatchEvent(eventWith(type, fields));
  }
}

/**
 * What arrives through the server shows the stage the server did: 2 for the offer, 4 for the rest.
 * @param {Role} role @param {unknown} payload
 */
function stageOfReceived(role, payload) {
  const name = payloadName(payload);
  if (name === "offer") return role === "PEER2" ? 2 : null;
  return name === "answer" || name === "candidate" || name === "candidates" || name === "end-of-candidates" ? 4 : null;
}

/** @param {string | ArrayBuffer | ArrayBufferView | Blob} data */
function sizeOf(data) {
  if (typeof data === "string") return data.length;
  return data instanceof Blob ? data.size : data.byteLength;
}
