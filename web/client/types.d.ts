// The public door of the JavaScript client, in types. `index.js` exports what is declared as a function or class here.
// Kept stable: a change here is a change for every page that uses Crowfly.

/** Makes a room and waits in it. Rejects with a {@link CrowflyError}. */
export function createRoom(options?: RoomOptions): Promise<Room>;

/** Joins the room named by a link or code, and starts the handshake: the last to arrive offers. */
export function joinRoom(linkOrCode: string, options?: RoomOptions): Promise<Room>;

/** Does ahead what {@link joinRoom} and {@link createRoom} begin with: the connection to the server, the RTCPeerConnection, the offer and its
 *  candidates. Call it when a click on "join" is likely, as when a page was opened by a link; the next call with the same server,
 *  iceServers, label and path takes it over. Kept for 8 s, then it is closed. Never fails: the call that follows says what is wrong. */
export function prepare(options?: Pick<RoomOptions, "server" | "iceServers" | "label" | "path" | "steps" | "open">): void;

/** What a connection needs and this browser has not, or not turned on, in words: "WebRTC" (with data channels), "WebSocket". Empty where
 *  all is there; else every attempt fails, and a page may say so before. */
export function missing(): string[];

/** What a link, code or name says: the room, its server if it is a link, and the secret of a sealed room, as a link's key or a code's words.
 *  A CrowflyError `invalid-room-name` where no room is named, `invalid-code` where a secret is damaged. */
export function parseRoom(linkOrCode: string): { name: string; server: string | null; key: string | null; words: string[] | null };

export interface RoomOptions {
  /** Base URL of the signaling server, `https://host[:port]`. Default: where the page came from. */
  server?: string | URL;
  /** `createRoom` only: a chosen name; without it the server draws one that cannot be guessed. */
  name?: string;
  /** `createRoom` only: a room without a shared secret, whose server is trusted. Default: with a chosen `name`, and in pages that may not use
   *  WebCrypto, for they came over plain HTTP. A sealed room has a drawn name; {@link joinRoom} learns from link or code which it is. */
  open?: boolean;
  /** Step by step: nothing happens by itself, {@link Peer.press} makes each WebRTC call. */
  steps?: boolean;
  /** Used instead of the servers the signaling server hands out. `[]` means host candidates only. */
  iceServers?: RTCIceServer[];
  /** "relay": through a relay or not at all, which hides one's addresses from the other side; "direct": never through a relay.
   *  Default: direct where that works, else a relay. */
  path?: "relay" | "direct";
  /** Label of the main data channel. Default `crowfly`. Its protocol is always `crowfly.1`. */
  label?: string;
  /** Ends the attempt, and later leaves the room. */
  signal?: AbortSignal;
  /** `joinRoom` only: `room.token` of an earlier visit, to take one's own seat back after a crash or a reload. Nobody may be opposite
   *  then, as after `createRoom`; a room that has ended meanwhile is made anew under its name. Where another page of this browser holds
   *  the seat (this tab is a duplicate), it stays that one's, and the token is not used; that needs a secure context (Web Locks). */
  token?: string;
}

/** An EventTarget that knows its events. */
export interface TypedTarget<Events> extends EventTarget {
  addEventListener<T extends keyof Events & string>(
    type: T,
    listener: (event: Event & Events[T]) => void,
    options?: AddEventListenerOptions | boolean,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: AddEventListenerOptions | boolean): void;
  removeEventListener<T extends keyof Events & string>(
    type: T,
    listener: (event: Event & Events[T]) => void,
    options?: EventListenerOptions | boolean,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: EventListenerOptions | boolean): void;
}

export interface RoomEvents {
  /** Somebody joined while this page waited. One who joins finds `room.peer` there already, without an event. */
  peer: { readonly peer: Peer };
  /** reason: "goodbye" (in the channel), "leave" | "lost" | "replaced" (server), "vanished" (silence, or its channel ended),
   *  "failed" (no connection came about), "no-offer" (it joined and then said nothing), "not-verified" (it does not share the secret). */
  "peer-left": { readonly peer: Peer; readonly reason: string };
  signaling: { readonly state: "online" | "offline" };
  error: { readonly error: CrowflyError };
  /** This page is out of the room. reason: "leave" (its own wish), "busy" | "no-offer" | "not-verified" | "other" (rejected by the one
   *  who waited; "not-verified" also: it does not share the secret), "burned" (three came who did not know the secret), "replaced" (its seat was taken with its token), "failed" | "vanished" (PEER1: no connection, and the
   *  other still waits there), or the error code with which the server refused its return. */
  close: { readonly reason: string };
}

export interface Room extends TypedTarget<RoomEvents> {
  readonly name: string;
  /** What another page opens: `https://host/#<name>`, with `.<key>` behind it for a sealed room. A secret then. */
  readonly link: string;
  /** What a person types: the name of an open room; name and words of a sealed one, null where this page came by a link. */
  readonly code: string | null;
  /** Without a shared secret: the server can read descriptions and candidates. */
  readonly open: boolean;
  /** Own peer id, issued by the server. */
  readonly id: string;
  readonly token: string;
  /** null until somebody is there, and again after that one has left. */
  readonly peer: Peer | null;
  readonly signaling: "online" | "offline";
  readonly closed: boolean;
  /** Says goodbye in the channel, leaves the room, closes everything. Harmless when repeated. */
  leave(): Promise<void>;
}

/** The five stages of docs/handshake.md. */
export type Stage = 1 | 2 | 3 | 4 | 5;
/** PEER1 joined last and offers; PEER2 waited and answers. */
export type Role = "PEER1" | "PEER2";

export interface PeerStates {
  signaling: RTCSignalingState;
  gathering: RTCIceGatheringState;
  ice: RTCIceConnectionState;
  connection: RTCPeerConnectionState;
  /** "none" before the main channel exists. */
  channel: "none" | RTCDataChannelState;
  /** "silent" when nothing has been heard for a few seconds; back to "alive" when something is. */
  liveness: "unknown" | "alive" | "silent";
}

export interface PeerEvents {
  /** The main channel is open: `send` works from here on. Once per peer. */
  open: {};
  /** A whole message of the main channel. `name` is that of a File, else null; `channel` the channel's label. */
  message: { readonly data: string | ArrayBuffer | Blob; readonly name: string | null; readonly channel: string };
  /** A Blob is coming in: at its beginning, at each part, and null when no more of it comes, which is just before its "message". */
  incoming: { readonly incoming: Incoming | null };
  /** Reasons as of the room's "peer-left"; "leave" when this page left. */
  close: { readonly reason: string };
  state: { readonly states: Readonly<PeerStates> };
  /** A record is complete. That of a call has its place in the trace where the call was made, and comes here when it has ended. */
  trace: { readonly record: TraceRecord };
  error: { readonly error: CrowflyError };
  /** The other side opened a further channel. */
  channel: { readonly channel: Channel };
  /** Step mode: something about the steps changed; `step` is the first that runs or may be pressed, null when there is none. */
  step: { readonly step: Step | null; readonly steps: readonly Step[] };
}

/** `name` is that of a File, else null; `size` as declared, `received` so far, bytes. */
export interface Incoming { readonly name: string | null; readonly size: number; readonly received: number }

export interface Peer extends TypedTarget<PeerEvents> {
  /** Peer id of the other side, issued by the server. */
  readonly id: string;
  /** The pairing, 128 bits drawn by the joiner. */
  readonly session: string;
  /** Own role in this pairing. */
  readonly role: Role;
  readonly states: Readonly<PeerStates>;
  readonly trace: Trace;
  /** How the other side was verified: "code" once the channel of a sealed room is open; null: not verified. */
  readonly verified: null | "code" | "compared";
  /** Descriptions as they stand, for showing. */
  readonly localDescription: RTCSessionDescription | null;
  /** The last description made here, from createOffer or createAnswer on, set or not; null before. */
  readonly draft: Readonly<{ type: "offer" | "answer"; sdp: string }> | null;
  readonly remoteDescription: RTCSessionDescription | null;
  /** Candidates in the order found, received and still buffered. */
  readonly candidates: Readonly<{ local: RTCIceCandidateInit[]; remote: RTCIceCandidateInit[]; buffered: RTCIceCandidateInit[] }>;

  /** Sends over the main channel, reliable and in order, any size; chunked, with backpressure. Resolves when all of it was
   *  handed to the browser. Rejects with `not-open` before the channel is open and `closed` after, also what still waits then. A buffer
   *  is copied when `send` is called and may be written on at once; the copy is held until the promise settles, so await it rather than
   *  queue gigabytes.
   *
   *  Handed on is not arrived: what was sent before a loss is noticed (`states.liveness` "silent", then "close") may be lost, and this
   *  library has no acknowledgements. Who must know has the other side answer, in messages of its own. */
  send(data: string | ArrayBuffer | ArrayBufferView | Blob, options?: SendOptions): Promise<void>;
  /** A further data channel with any RTCDataChannelInit; raw messages, no framing. The other side gets "channel". */
  channel(label: string, options?: RTCDataChannelInit): Channel;
  stats(): Promise<PeerStats>;
  /** Step mode: the steps of this role in order; empty in automatic mode, and for PEER2 until the offer has arrived. */
  readonly steps: readonly Step[];
  /** Step mode: makes the call of a step that is "ready". Rejects with `wrong-step` otherwise, with the state it is in. */
  press(id: StepId): Promise<void>;
}

export interface SendOptions {
  /** Gives the message up; the other side drops what has arrived of it. */
  signal?: AbortSignal;
  /** Bytes handed on so far. What it throws is reported as an uncaught error, and the message goes on. */
  onProgress?: (sent: number, total: number) => void;
}

export interface PeerStats {
  /** null until a candidate pair is selected. */
  path: null | {
    kind: "direct" | "relay";
    protocol: string;
    local: { type: RTCIceCandidateType; address: string | null; port: number | null };
    remote: { type: RTCIceCandidateType; address: string | null; port: number | null };
  };
  /** Milliseconds: over the channel (heartbeat), and over ICE (STUN checks); null until measured. */
  roundTrip: number | null;
  iceRoundTrip: number | null;
  bytesSent: number; bytesReceived: number; messagesSent: number; messagesReceived: number;
  bufferedAmount: number;
}

export interface ChannelEvents {
  open: {};
  message: { readonly data: string | ArrayBuffer };
  close: {};
  error: { readonly error: CrowflyError };
}

/** A raw data channel. */
export interface Channel extends TypedTarget<ChannelEvents> {
  readonly label: string; readonly protocol: string; readonly id: number | null;
  readonly ordered: boolean; readonly maxRetransmits: number | null; readonly maxPacketLifeTime: number | null; readonly negotiated: boolean;
  readonly readyState: RTCDataChannelState; readonly bufferedAmount: number;
  /** Waits while the send buffer is full. One message; larger than the other side takes: `message-too-large`. */
  send(data: string | ArrayBuffer | ArrayBufferView | Blob): Promise<void>;
  close(): void;
}

export type StepId =
  // PEER1, the joiner
  | "p1-create-connection"      // stage 1: new RTCPeerConnection, listeners
  | "p1-create-channel"         // stage 1: createDataChannel
  | "p1-create-offer"           // stage 1: createOffer
  | "p1-set-local-offer"        // stage 1: setLocalDescription(offer), gathering starts
  | "p1-send-offer"             // stage 1: the signal leaves; stage 2 is the server's
  | "p1-send-candidates"        // stage 5: one batch, ready when gathering is complete
  | "p1-add-candidates"         // stage 5: processes received candidates: adds or buffers; ready once some are here
  | "p1-set-remote-answer"      // stage 5: setRemoteDescription(answer); ready once the answer is here; flushes the buffer
  // PEER2, who waited
  | "p2-create-connection"      // stage 3: new RTCPeerConnection, listeners, ondatachannel
  | "p2-set-remote-offer"       // stage 3: setRemoteDescription(offer)
  | "p2-create-answer"          // stage 3: createAnswer
  | "p2-set-local-answer"       // stage 3: setLocalDescription(answer), gathering starts
  | "p2-send-answer"            // stage 3: the signal leaves; stage 4 is the server's
  | "p2-send-candidates"        // stage 3: one batch
  | "p2-add-candidates";        // stage 5: adds PEER1's candidates; ready once some are here

export interface Step {
  readonly id: StepId;
  readonly stage: Stage;
  readonly role: Role;
  /** The call as a reader of the WebRTC specification knows it, e.g. `pc.createOffer()`. */
  readonly call: string;
  /** locked: its turn has not come; waiting: its turn, but something from outside is missing (`waitsFor`). */
  readonly state: "locked" | "waiting" | "ready" | "running" | "done" | "failed";
  readonly waitsFor: string | null;
  /** Signaling and connection state before and after, once done. */
  readonly before: Readonly<PeerStates> | null;
  readonly after: Readonly<PeerStates> | null;
}

export interface TraceRecord {
  /** Milliseconds since the trace began, monotonic. */
  t: number;
  peer: Role | null;
  stage: Stage | null;
  /** call: a WebRTC call and how it ended; event: one the browser fired; state: a change; send/receive: a signaling message;
   *  message: on a data channel; note: what Crowfly decided (buffered, flushed, dropped); error. */
  kind: "call" | "event" | "state" | "send" | "receive" | "message" | "note" | "error";
  /** e.g. "createOffer", "icecandidate", "signalingState", "signal:offer", "candidate-buffered". */
  name: string;
  /** Length of a call in milliseconds. */
  ms?: number;
  /** What belongs to it; small, JSON only. `state` has {from, to}. */
  detail?: Record<string, unknown>;
}

/** At most 10,000 records are kept; the count of older ones dropped is in the header. */
export interface Trace {
  readonly records: readonly TraceRecord[];
  readonly dropped: number;
  /** JSON Lines, docs/trace.md: a header line, then a record a line. */
  toJSONLines(): string;
}

/** Every failure of this library. `code` is stable: those of docs/protocol.md and docs/errors in errors.js. */
export class CrowflyError extends Error {
  constructor(code: string, message: string, options?: { cause?: unknown; hint?: string });
  readonly code: string;
  /** What to try, for people; "" when there is nothing to say. */
  readonly hint: string;
}
