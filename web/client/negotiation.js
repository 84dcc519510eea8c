/**
 * The WebRTC calls of both roles, in one place, each a step of steps.js and a record of the trace.
 *
 * Automatic mode presses every step as soon as it is ready; step mode waits for a person to. Nothing that comes from the other side
 * throws out of here: what does not fit is refused with a `problem` payload and a note.
 * @module
 */
//# allFunctionsCalledOnLoad
import { CandidateBuffer, END_OF_CANDIDATES, candidatesIn } from "./candidates.js";
import { CrowflyError, asCrowflyError } from "./errors.js";
import { Renegotiation } from "./renegotiation.js";
import { isPooled } from "./spare.js";
import { StepList } from "./steps.js";

/** @import { Description, Payload } from "./payload.js" */
/** @import { Spare } from "./spare.js" */
/** @import { StateBoard } from "./states.js" */
/** @import { Need } from "./steps.js" */
/** @import { Trace } from "./trace.js" */
/** @import { Role, Stage, StepId } from "./types.d.ts" */

/**
 * Where the offer brought PEER1's candidates, PEER2's checks come to PEER1 by themselves. Looking up PEER2's names meanwhile would take
 * processor time from the handshake: it waits so long after the answer, in ms, and once there is a path, until the channel is open.
 */
const GRACE = 15;
/** How often one description is sent again because the other side repeats itself: no flood is answered by a flood. */
const MAX_REPEATS = 10;
/** Once there is a path, DTLS and SCTP have so long, in ms, until what waits for the open channel goes on without one. */
const OPENING = 1_000;
/** Candidates of earlier negotiations that are still told of. */
const MAX_KEPT = 256;
/** Refusals that are said in a pairing; whoever sends more nonsense is not to have us talk the server's patience away. */
const MAX_REFUSALS = 100;

/**
 * @typedef {object} NegotiationOptions
 * @property {Role} role
 * @property {boolean} automatic
 * @property {string} label of the main channel
 * @property {string} protocol of the main channel
 * @property {Spare} spare
 * @property {Trace} trace
 * @property {StateBoard} board
 * @property {(payload: Record<string, unknown>) => void} signal hands a payload to the other side
 * @property {(channel: RTCDataChannel) => void} onchannel a data channel, made here or there
 * @property {() => void} onsteps a step changed
 * @property {(error: CrowflyError) => void} onfailure the handshake cannot go on
 */

/** One RTCPeerConnection and the conversation about it. */
export class Negotiation {
  /** @type {NegotiationOptions} */ #options;
  /** @type {Trace} */ #trace;
  /** @type {StepList} */ #steps;
  /** @type {RTCPeerConnection | null} */ #connection = null;
  #listeners = new AbortController();
  #closed = false;

  /** @type {RTCIceServer[] | null} null until known */ #servers = null;
  #online = false;
  /** @type {Description | null} made here, as it was sent */ #draft = null;
  /** Whether the remote description is in place. */ #described = false;
  /** @type {Description | null} */ #offer = null;
  /** @type {Description | null} */ #answer = null;

  #buffer = new CandidateBuffer();
  /** @type {RTCIceCandidateInit[]} received, not looked at */ #inbox = [];
  /** @type {RTCIceCandidateInit[]} */ #received = [];
  /** @type {RTCIceCandidateInit[]} */ #found = [];
  /** How many of those found have been sent, and whether their end has. */
  #sent = { candidates: 0, end: false };
  /** Times that {@link draft} was sent again on the other side's account. */ #repeats = 0;
  #gathered = false;
  /** @type {Renegotiation | null} once the first negotiation is over */ #later = null;
  #restartWanted = false;
  /** Whether what can wait does, {@link GRACE}. */ #quiet = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #quietEnds;
  /** An answer set provisionally has led somewhere, or nowhere. */ #decided = () => {};
  #refusals = 0;
  /** Whether candidates found in this moment are being collected, to leave together. */ #collecting = false;

  /** @param {NegotiationOptions} options */
  constructor(options) {
    this.#options = options;
    this.#trace = options.trace;
    this.#steps = new StepList(options.role, options.automatic, (need) => this.#have(need));
  }

  /** The description made here, as it was sent or will be. */
  get draft() {
    return this.#draft;
  }
  get connection() {
    return this.#connection;
  }

  get steps() {
    return this.#options.role === "PEER2" && !this.#offer ? [] : this.#steps.list();
  }

  get candidates() {
    return { local: [...this.#found], remote: [...this.#received], buffered: [...this.#buffer.held] };
  }

  /** Tells what the signaling server handed out. Without it nothing is gathered. @param {RTCIceServer[]} servers */
  useServers(servers) {
    if (this.#servers || this.#closed) return;
    this.#servers = servers;
    const connection = this.#connection;
    if (connection && servers.length > 0) {
      const configuration = this.#options.spare.configuration(servers);
      this.#trace.call(1, "setConfiguration", { iceServers: servers.length }, () => connection.setConfiguration(configuration));
    }
    this.#advance();
  }

  /** Newer ones of the same, for what is gathered from now on. @param {RTCIceServer[]} servers */
  renewServers(servers) {
    if (!this.#servers || this.#closed) return;
    this.#servers = servers;
    const connection = this.#connection;
    if (!connection || connection.signalingState === "closed") return;
    const configuration = { ...connection.getConfiguration(), ...this.#options.spare.configuration(servers) };
    try {
      this.#trace.call(null, "setConfiguration", { iceServers: servers.length }, () => connection.setConfiguration(configuration));
    } catch {
      // The trace has it. Those from before stay in use.
    }
  }

  /** Whether a payload sent now reaches the other side. @param {boolean} online */
  setOnline(online) {
    this.#online = online;
    this.#advance();
  }

  /** Begins; PEER2 then waits for the offer. */
  start() {
    this.#advance();
  }

  /**
   * Takes a payload of the other side. Never throws.
   * @param {Extract<Payload, { kind: "description" | "candidates" }>} payload
   */
  receive(payload) {
    if (this.#closed) return;
    if (payload.kind === "candidates") this.#receiveCandidates(payload);
    else if (payload.description.type === "offer") this.#receiveOffer(payload.description);
    else this.#receiveAnswer(payload.description);
    this.#advance();
  }

  /** @param {StepId} id */
  async press(id) {
    const state = this.#steps.stateOf(id);
    if (this.#closed || (state !== "ready" && state !== "failed")) {
      throw new CrowflyError("wrong-step", `${id} is ${this.#closed ? "over" : state}`);
    }
    await this.#run(id);
  }

  /** The main channel is open, or nothing can be expected to open it: an answer set provisionally is set for good. */
  opened() {
    this.endQuiet();
    this.#decided();
  }

  /** What has waited for a quieter moment waits no longer. */
  endQuiet() {
    clearTimeout(this.#quietEnds);
    if (!this.#quiet) return;
    this.#quiet = false;
    this.#advance();
  }

  /** There is a path: nothing is to hold up DTLS and SCTP now. */
  #foundPath() {
    clearTimeout(this.#quietEnds);
    this.#quietEnds = setTimeout(() => this.opened(), OPENING);
  }

  /** Finds a new path (ICE restart); the other side hears of it through the server. */
  restart() {
    if (!this.#later) this.#restartWanted = true;
    if (!this.#online || !this.#later) return;
    if (this.#later.awaiting) this.resend();
    else this.#later.restart();
  }

  /** Sends again what the other side may have missed; it refuses what it has, which does no harm. */
  resend() {
    const { role } = this.#options;
    if (this.#closed || this.#steps.stateOf(role === "PEER1" ? "p1-send-offer" : "p2-send-answer") !== "done") return;
    this.#trace.note(null, "note", "resent");
    this.#sendDescription(this.#later ? null : role === "PEER1" ? 1 : 3, this.#draft);
    if (this.#sent.candidates === 0 && !this.#sent.end) return;
    this.#sendCandidates(this.#found.slice(0, this.#sent.candidates), this.#sent.end);
  }

  /** Closes the connection and lets go of it. Harmless when repeated. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    const connection = this.#connection;
    if (connection) {
      this.#trace.call(null, "close", undefined, () => connection.close());
      this.#options.board.read(connection);
    }
    this.#listeners.abort();
    clearTimeout(this.#quietEnds);
    this.#later?.close();
    this.#connection = null;
  }

  // What is received

  /** The other side repeats itself, so it may have missed what we sent. */
  #repeat() {
    if (this.#repeats++ < MAX_REPEATS) this.resend();
  }

  /** PEER2: whether the answer to the first offer has been sent. */
  get #answered() {
    return this.#options.role === "PEER2" && this.#steps.stateOf("p2-send-answer") === "done";
  }

  /** @param {Description} offer */
  #receiveOffer(offer) {
    if (this.#later) this.#later.receive(offer);
    else if (this.#options.role === "PEER1") this.#refuse("unexpected-offer", "offer");
    else if (this.#offer && this.#offer.sdp !== offer.sdp) this.#refuse("unexpected-offer", "offer");
    else if (this.#answered) this.#repeat(); // the answer was lost
    else if (this.#offer) this.#refuse("repeated-offer", "offer");
    else {
      this.#offer = offer;
      this.#received.push(...candidatesIn(offer.sdp));
    }
  }

  /** @param {Description} answer */
  #receiveAnswer(answer) {
    const asked = this.#steps.stateOf("p1-send-offer") === "done";
    if (this.#later) this.#later.receive(answer);
    else if (this.#options.role === "PEER2" || !asked) this.#refuse("unexpected-answer", "answer");
    else if (this.#answer) this.#refuse("repeated-answer", "answer");
    else {
      this.#answer = answer;
      if (this.#quiet) this.#quietEnds = setTimeout(() => this.endQuiet(), GRACE);
    }
  }

  /** @param {{ candidates: RTCIceCandidateInit[], complete: boolean }} batch */
  #receiveCandidates({ candidates, complete }) {
    const described = this.#options.role === "PEER2" ? this.#offer : this.#connection;
    if (!described) return this.#refuse("candidate-before-offer", "candidates");
    this.#inbox.push(...candidates);
    if (complete) this.#inbox.push(END_OF_CANDIDATES);
    if (this.#inbox.length > 1024) this.#inbox.length = 1024;
  }

  /** @param {string} code @param {string} about */
  #refuse(code, about) {
    this.#trace.note(null, "note", "refused", { code, about });
    this.#refusals += 1;
    if (this.#refusals > MAX_REFUSALS) return;
    this.#options.signal({ kind: "problem", code, about });
  }

  // Steps

  /** @param {Need} need */
  #have(need) {
    switch (need) {
      case "offer":
        return this.#offer !== null;
      case "answer":
        return this.#answer !== null;
      case "servers":
        return this.#servers !== null;
      case "signaling":
        return this.#online;
      case "remote-candidates":
        // Those behind a later description wait until it is in place.
        return this.#inbox.length > 0 && !this.#later?.pending && !this.#quiet;
      case "local-candidates": {
        const unsent = this.#found.length > this.#sent.candidates || (this.#gathered && !this.#sent.end && !this.#quiet);
        return unsent && this.#online && (this.#gathered || this.#automatic) && !this.#later?.describing && !this.#collecting;
      }
    }
  }

  /** Step mode ends with the first negotiation; nobody presses buttons for an ICE restart. */
  get #automatic() {
    return this.#options.automatic || this.#later?.began === true;
  }

  /** Presses what is ready, in automatic mode; in step mode says what changed. */
  #advance() {
    if (this.#closed) return;
    if (!this.#options.automatic) this.#options.onsteps();
    if (!this.#automatic) return;
    for (const id of this.#steps.ready()) {
      // One step may make the next ready, which has then been pressed from within.
      if (this.#closed || this.#steps.stateOf(id) !== "ready") continue;
      this.#run(id).catch((error) => this.#options.onfailure(error));
    }
  }

  /** @param {StepId} id */
  async #run(id) {
    const { board, trace } = this.#options;
    this.#steps.begin(id, board.now);
    try {
      const outcome = this.#call(id);
      if (outcome) {
        this.#advance(); // steps that overlap
        await outcome;
      }
      this.#steps.finish(id, "done", board.now);
    } catch (thrown) {
      if (this.#closed) return; // the browser abandons what was under way
      this.#steps.finish(id, "failed", board.now);
      const error = asCrowflyError(thrown, "step-failed", `${id} failed`);
      trace.note(this.#steps.stageOf(id), "error", "step-failed", { step: id, error: error.message });
      this.#advance();
      throw error;
    }
    this.#advance();
  }

  /** The call of a step. @param {StepId} id @returns {Promise<unknown> | void} */
  #call(id) {
    switch (id) {
      case "p1-create-connection":
        return this.#createConnection(1);
      case "p2-create-connection":
        return this.#createConnection(3);
      case "p1-create-channel":
        return this.#createChannel();
      case "p1-create-offer":
        return this.#createDescription(1, "createOffer");
      case "p2-create-answer":
        return this.#createDescription(3, "createAnswer");
      case "p1-set-local-offer":
        return this.#setLocal(1);
      case "p2-set-local-answer":
        return this.#setLocal(3);
      case "p1-send-offer":
        return this.#sendDescription(1, this.#offerWithCandidates());
      case "p2-send-answer":
        return this.#sendDescription(3, this.#draft);
      case "p1-set-remote-answer":
        return this.#setRemote(5, this.#answer);
      case "p2-set-remote-offer":
        return this.#setRemote(3, this.#offer);
      case "p1-send-candidates":
      case "p2-send-candidates":
        return this.#sendNewCandidates();
      case "p1-add-candidates":
      case "p2-add-candidates":
        return this.#addReceived();
    }
  }

  get #opened() {
    if (!this.#connection) throw new CrowflyError("wrong-step", "there is no connection yet");
    return this.#connection;
  }

  /** @param {Stage} stage */
  #createConnection(stage) {
    if (!globalThis.RTCPeerConnection) throw new CrowflyError("unsupported", "this browser has no WebRTC");
    const servers = this.#servers ?? [];
    const detail = { iceServers: servers.flatMap((server) => server.urls) };
    const connection = this.#trace.call(stage, "RTCPeerConnection", detail, () => {
      return this.#options.spare.take(servers) ?? new RTCPeerConnection(this.#options.spare.configuration(servers));
    });
    this.#connection = connection;
    this.#listen(connection, stage);
  }

  /** @param {RTCPeerConnection} connection @param {Stage} stage */
  #listen(connection, stage) {
    const { board, onchannel } = this.#options;
    /** @type {<K extends keyof RTCPeerConnectionEventMap>(type: K, listener: (event: RTCPeerConnectionEventMap[K]) => void) => void} */
    const on = (type, listener) => connection.addEventListener(type, listener, { signal: this.#listeners.signal });
    on("signalingstatechange", () => board.read(connection));
    on("connectionstatechange", () => {
      board.read(connection);
      if (connection.connectionState === "failed") this.opened();
    });
    on("iceconnectionstatechange", () => {
      board.read(connection);
      if (connection.iceConnectionState === "connected") this.#foundPath();
    });
    on("icegatheringstatechange", () => board.read(connection));
    on("icecandidate", ({ candidate }) => this.#foundCandidate(stage, candidate));
    on("icecandidateerror", ({ url, errorCode, errorText }) => this.#trace.note(stage, "event", "icecandidateerror", { url, errorCode, errorText }));
    on("negotiationneeded", () => this.#trace.note(stage, "event", "negotiationneeded"));
    // Registered before the remote description is set, or a channel could be missed (lesson 24).
    on("datachannel", ({ channel }) => {
      this.#trace.note(5, "event", "datachannel", describeChannel(channel));
      onchannel(channel);
    });
  }

  #createChannel() {
    const { label, protocol, onchannel } = this.#options;
    const connection = this.#opened;
    const make = () => connection.createDataChannel(label, { protocol });
    onchannel(this.#trace.call(1, "createDataChannel", { label, protocol, ordered: true }, make));
  }

  /** @param {Stage} stage @param {"createOffer" | "createAnswer"} method */
  async #createDescription(stage, method) {
    const connection = this.#opened;
    const { type, sdp = "" } = await this.#trace.call(stage, method, undefined, () => connection[method]());
    this.#draft = { type: type === "offer" ? "offer" : "answer", sdp };
  }

  /** @param {Stage} stage */
  async #setLocal(stage) {
    const connection = this.#opened;
    const draft = /** @type {Description} */ (this.#draft);
    if (draft.type === "answer" && isPooled(connection)) await this.#setProvisionally(stage, connection, draft);
    await this.#trace.call(stage, "setLocalDescription", { type: draft.type }, () => connection.setLocalDescription(draft));
    this.#options.board.read(connection);
    if (draft.type === "answer") this.#settle(connection);
  }

  /**
   * Chromium throws away what it gathered ahead when an answer is set, but uses it for a provisional one (W3C WebRTC §4.2.6). So the
   * answer, which the other side has as it is, stays provisional here until it has led to an open channel, or to none.
   * @param {Stage} stage @param {RTCPeerConnection} connection @param {Description} draft
   */
  async #setProvisionally(stage, connection, { sdp }) {
    const decided = new Promise((resolve) => (this.#decided = () => resolve(null)));
    await this.#trace.call(stage, "setLocalDescription", { type: "pranswer" }, () => connection.setLocalDescription({ type: "pranswer", sdp }));
    this.#options.board.read(connection);
    await decided;
  }

  /** @param {Stage} stage @param {Description | null} description */
  async #setRemote(stage, description) {
    const connection = this.#opened;
    const remote = /** @type {Description} */ (description);
    await this.#trace.call(stage, "setRemoteDescription", { type: remote.type }, () => connection.setRemoteDescription(remote));
    this.#options.board.read(connection);
    this.#described = true;
    const held = this.#buffer.flush();
    if (held.length > 0) this.#trace.note(5, "note", "candidates-flushed", { count: held.length });
    for (const candidate of held) this.#add(connection, candidate);
    if (remote.type === "answer") this.#settle(connection);
  }

  /** The first negotiation is over; later ones may come from either side. @param {RTCPeerConnection} connection */
  #settle(connection) {
    this.#later = new Renegotiation({
      connection,
      polite: this.#options.role === "PEER2",
      trace: this.#trace,
      first: /** @type {Description} */ (this.#offer ?? this.#answer),
      send: (description) => this.#sendDescription(null, description),
      repeat: () => this.#repeat(),
      refuse: (code, about) => this.#refuse(code, about),
      onnew: () => this.#renewCandidates(),
      onready: () => this.#advance(),
      onfailure: this.#options.onfailure,
    });
    if (this.#restartWanted) this.restart();
  }

  /**
   * The offer with the candidates found so far, in automatic mode: whoever prepared has them before the click, and the answerer's
   * checks can begin as soon as it has the offer.
   */
  #offerWithCandidates() {
    const sdp = this.#connection?.localDescription?.sdp;
    if (!this.#draft || !sdp || !this.#options.automatic || this.#found.length === 0) return this.#draft;
    this.#sent = { candidates: this.#found.length, end: false };
    this.#quiet = true;
    return { ...this.#draft, sdp };
  }

  /** @param {Stage | null} stage @param {Description | null} description */
  #sendDescription(stage, description) {
    if (!description) return;
    if (this.#draft !== description) this.#repeats = 0;
    this.#draft = description;
    this.#trace.note(stage, "send", `signal:${description.type}`, { bytes: description.sdp.length });
    this.#options.signal({ kind: "description", description });
  }

  // Candidates

  /** @param {Stage} stage @param {RTCIceCandidate | null} candidate */
  #foundCandidate(stage, candidate) {
    // Firefox marks the end of a generation with an empty candidate before the null that all send.
    if (candidate && candidate.candidate === "") return;
    if (candidate) this.#found.push(candidate.toJSON());
    else this.#gathered = true;
    this.#trace.note(stage, "event", "icecandidate", candidate ? { candidate: candidate.candidate } : { complete: true });
    if (this.#automatic) this.#collect();
    else this.#advance();
  }

  /** Candidates come in bursts; those whose events wait already leave with this one. By a message, as timers of hidden pages wait a second. */
  #collect() {
    if (this.#collecting) return;
    this.#collecting = true;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      this.#collecting = false;
      this.#advance();
    };
    port2.postMessage(null);
  }

  #sendNewCandidates() {
    const fresh = this.#found.slice(this.#sent.candidates);
    this.#sent = { candidates: this.#found.length, end: this.#gathered };
    this.#sendCandidates(fresh, this.#gathered);
  }

  /** @param {RTCIceCandidateInit[]} candidates @param {boolean} complete */
  #sendCandidates(candidates, complete) {
    const payload = candidatesPayload(candidates, complete);
    const stage = this.#options.role === "PEER1" ? 5 : 3;
    this.#trace.note(stage, "send", `signal:${payload.kind}`, { count: candidates.length, complete });
    this.#options.signal(payload);
  }

  #addReceived() {
    const connection = this.#opened;
    for (const candidate of this.#inbox.splice(0)) {
      const verdict = this.#buffer.receive(candidate, this.#described);
      if (verdict === "add" || verdict === "buffer") {
        if (candidate.candidate !== "") this.#received.push(candidate);
      }
      if (verdict === "add") this.#add(connection, candidate);
      else this.#trace.note(5, "note", `candidate-${verdict === "buffer" ? "buffered" : verdict}`, { candidate: candidate.candidate });
    }
  }

  /** A candidate the browser does not like is not the end: others may do. @param {RTCPeerConnection} connection @param {RTCIceCandidateInit} candidate */
  #add(connection, candidate) {
    const detail = { candidate: candidate.candidate };
    this.#trace.call(5, "addIceCandidate", detail, () => connection.addIceCandidate(candidate)).catch(() => {
      if (!this.#closed) this.#refuse("rejected-candidate", candidate.candidate?.slice(0, 64) ?? "");
    });
  }

  /** A new negotiation begins: its candidates are another list. */
  #renewCandidates() {
    this.#buffer.renew();
    this.#received = this.#received.slice(-MAX_KEPT); // told to the page
    this.#found = [];
    this.#sent = { candidates: 0, end: false };
    this.#gathered = false;
  }
}

/** @param {RTCIceCandidateInit[]} candidates @param {boolean} complete */
function candidatesPayload(candidates, complete) {
  if (candidates.length === 0) return { kind: "end-of-candidates" };
  if (candidates.length === 1 && !complete) return { kind: "candidate", candidate: candidates[0] };
  return { kind: "candidates", candidates, complete };
}

/** @param {RTCDataChannel} channel */
function describeChannel({ label, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id }) {
  return { label, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id };
}
