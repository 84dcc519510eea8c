/**
 * A room: one's own seat in it, and whoever sits opposite, one after the other.
 *
 * The server's facts come in here and become pairings: who joins last offers, who waited answers. One's own end of a room, however
 * it comes about, is {@link Room.#close}.
 * @module
 */
import { CrowflyError } from "./errors.js";
import { eventWith, typedTarget } from "./events.js";
import { parseRoom, roomLink, serverBase, socketURL } from "./link.js";
import { Pairing } from "./pairing.js";
import { Signaling, serverError } from "./signaling.js";

/** @import { Role, RoomEvents, RoomOptions } from "./types.d.ts" */
/** @import { Message } from "./signaling.js" */

/** Sessions remembered after their end, so that a late message or a late return is recognised. */
const REMEMBERED = 32;
/** On leaving, what is still being sent gets this long. */
const DRAIN = 1_000;
/** Refusals of `resume` that another try may not meet again. */
const PASSING = new Set(["server-unreachable", "server-silent", "rate-limited", "too-many-rooms"]);

/**
 * Makes a room and waits in it.
 * @param {RoomOptions} [options]
 */
export function createRoom(options = {}) {
  return Room.create(options);
}

/**
 * Joins the room named by a link or code, and starts the handshake.
 * @param {string} linkOrCode
 * @param {RoomOptions} [options]
 */
export async function joinRoom(linkOrCode, options = {}) {
  const { name, server } = parseRoom(linkOrCode);
  return Room.join(name, { ...options, server: options.server ?? server ?? undefined });
}

/** Public: see types.d.ts. */
class Room extends /** @type {typeof typedTarget<RoomEvents>} */ (typedTarget)() {
  /** @type {RoomOptions} */ #options;
  #server;
  /** @type {Signaling} */ #signaling;
  /** @type {Pairing | null} */ #pairing = null;
  /** @type {RTCIceServer[]} */ #servers = [];
  /** @type {"online" | "offline"} */ #state = "offline";
  #name = "";
  #id = "";
  #token = "";
  /** @type {string | null} why it ended */ #ended = null;
  /** @type {Promise<void> | null} */ #leaving = null;
  /** @type {string[]} */ #past = [];
  #abort = () => void this.leave();

  /** @param {RoomOptions} options */
  constructor(options) {
    super();
    if (options.open === false) throw new CrowflyError("unsupported", "rooms with a secret are not there yet", { hint: "Leave `open` away." });
    this.#options = options;
    this.#server = serverBase(options.server);
    this.#signaling = new Signaling({
      url: socketURL(this.#server),
      onmessage: (message) => this.#receive(message),
      onoffline: (reason) => this.#offline(reason),
      onreturn: (welcome) => this.#return(welcome),
      urgent: () => this.#pairing !== null,
    });
  }

  /** @param {RoomOptions} options */
  static async create(options) {
    const room = new Room(options);
    return room.#enter(async () => {
      await room.#connect();
      room.#sit(await room.#signaling.request("create", options.name === undefined ? {} : { room: options.name }));
    });
  }

  /** @param {string} name @param {RoomOptions} options */
  static async join(name, options) {
    const room = new Room(options);
    const session = newSession();
    // What needs no server starts before there is one: connection, channel, offer.
    const pairing = room.#begin("PEER1", session, "");
    return room.#enter(async () => {
      await room.#connect();
      // The offer leaves right behind the join: one trip to the server, not two.
      const joined = room.#takeSeat(name, session, options.token);
      if (options.steps) room.#signal(session, { kind: "steps" });
      pairing.useServers(room.#servers);
      pairing.setOnline(true);
      room.#sit(await joined, pairing);
    });
  }

  get name() {
    return this.#name;
  }
  get link() {
    return roomLink(this.#server, this.#name);
  }
  get code() {
    return this.#name;
  }
  get id() {
    return this.#id;
  }
  get token() {
    return this.#token;
  }
  get peer() {
    return this.#pairing?.peer ?? null;
  }
  get signaling() {
    return this.#state;
  }
  get closed() {
    return this.#ended !== null;
  }

  /** Says goodbye in the channel, leaves the room, closes everything; at once, unless something is still being sent. */
  leave() {
    this.#leaving ??= this.#depart();
    return this.#leaving;
  }

  // Coming in

  /** @param {() => Promise<void>} enter */
  async #enter(enter) {
    const { signal } = this.#options;
    signal?.addEventListener("abort", this.#abort, { once: true });
    try {
      await enter();
      return this;
    } catch (error) {
      this.#close("failed");
      throw error;
    }
  }

  async #connect() {
    const welcome = await this.#signaling.connect(this.#options.signal);
    this.#welcomed(welcome);
    this.#state = "online";
  }

  /**
   * A room ends with its last seat, as when the only one there reloads the page. A token of it makes it anew, and its link stays good.
   * @param {string} name @param {string} session @param {string} [token]
   */
  async #takeSeat(name, session, token) {
    try {
      return await this.#signaling.request("join", { room: name, session, token });
    } catch (refused) {
      const { code } = /** @type {CrowflyError} */ (refused);
      if (!token || (code !== "room-not-found" && code !== "room-unavailable")) throw refused;
      return this.#signaling.request("resume", { room: name, token });
    }
  }

  /** @param {Message} welcome */
  #welcomed(welcome) {
    this.#id = String(welcome.peer);
    const handed = Array.isArray(welcome.iceServers) ? welcome.iceServers : [];
    this.#servers = this.#options.iceServers ?? handed;
  }

  /** @param {Message} seat `created` or `joined` @param {Pairing} [pairing] */
  #sit(seat, pairing) {
    this.#name = String(seat.room);
    this.#token = String(seat.token);
    if (!pairing) return;
    if (typeof seat.peer === "string") pairing.peerId = seat.peer;
    else pairing.end("lost"); // one's own seat taken back, and nobody opposite
  }

  // Pairings

  /** @param {Role} role @param {string} session @param {string} peerId */
  #begin(role, session, peerId) {
    const pairing = new Pairing({
      role,
      session,
      peerId,
      options: this.#options,
      signal: (payload) => this.#signal(session, payload),
      onend: (reason) => this.#pairingEnded(pairing, reason),
    });
    this.#pairing = pairing;
    return pairing;
  }

  /** @param {string} session @param {Record<string, unknown>} payload */
  #signal(session, payload) {
    this.#signaling.send("signal", { session, payload });
  }

  /** @param {Pairing} pairing @param {string} reason */
  #pairingEnded(pairing, reason) {
    if (this.#pairing !== pairing) return;
    this.#pairing = null;
    this.#past.push(pairing.session);
    if (this.#past.length > REMEMBERED) this.#past.shift();
    if (this.#ended !== null) return;
    this.dispatchEvent(eventWith("peer-left", { peer: pairing.peer, reason }));
    if (reason === "vanished" || reason === "failed" || reason === "no-offer") this.#free(pairing, reason);
  }

  /**
   * The server believes in a pairing that is over. Who joined goes, if the other still waits there; else the other's seat is freed.
   * @param {Pairing} pairing @param {string} reason
   */
  #free(pairing, reason) {
    if (this.#state === "offline" || pairing.presence === "lost") return;
    if (pairing.role === "PEER1" && pairing.presence === "online") return void this.#close(reason);
    this.#reject(pairing.session, reason === "no-offer" ? "no-offer" : "other");
  }

  /** @param {string} session @param {"busy" | "no-offer" | "other"} reason */
  #reject(session, reason) {
    // The answer says nothing new, and a refusal means that the other has gone already.
    this.#signaling.request("reject", { session, reason }).catch(() => {});
  }

  // What the server says

  /** @param {Message} message */
  #receive(message) {
    const current = message.session === this.#pairing?.session ? this.#pairing : null;
    switch (message.type) {
      case "peer-joined":
        return this.#joined(String(message.peer), String(message.session));
      case "signal":
        if (current) return current.receive(message.payload);
        return this.#pairing?.trace.note(null, "note", "stale-signal", { session: String(message.session).slice(0, 22) });
      case "peer-left":
        return current?.departed(String(message.reason));
      case "peer-offline":
      case "peer-online":
        if (message.peer === this.#pairing?.peerId) this.#pairing?.setPresence(message.type === "peer-online" ? "online" : "offline");
        return;
      case "left":
        return this.#close(String(message.detail ?? message.reason));
      case "error":
        return this.#serverRefused(message);
    }
  }

  /** Somebody sits down opposite. @param {string} peer @param {string} session */
  #joined(peer, session) {
    const current = this.#pairing;
    if (current?.session === session) {
      current.peerId = peer; // back on a new connection; the pairing is as it was
      return current.setPresence("online");
    }
    if (this.#past.includes(session)) return this.#reject(session, "other");
    if (current?.opened) return this.#reject(session, "busy");
    current?.end("lost");
    const pairing = this.#begin("PEER2", session, peer);
    pairing.useServers(this.#servers);
    pairing.setOnline(true);
    this.dispatchEvent(eventWith("peer", { peer: pairing.peer }));
  }

  /** A signal could not be relayed. @param {Message} message */
  #serverRefused(message) {
    if (message.code === "peer-offline") return this.#pairing?.setPresence("offline");
    this.#pairing?.trace.note(null, "receive", "error", { code: message.code });
    if (message.code === "rate-limited") this.#error(serverError(message));
  }

  /** @param {CrowflyError} error */
  #error(error) {
    this.dispatchEvent(eventWith("error", { error }));
  }

  // Losing the server and coming back

  /** @param {string} reason the server's, for closing the connection */
  #offline(reason) {
    if (reason === "replaced") return this.#close("replaced"); // one's seat was taken elsewhere
    this.#state = "offline";
    this.#pairing?.setOnline(false);
    this.dispatchEvent(eventWith("signaling", { state: this.#state }));
  }

  /** Takes the seat back on a new connection. @param {Message} welcome */
  async #return(welcome) {
    const id = this.#id;
    const session = this.#pairing?.session;
    try {
      const resumed = await this.#signaling.request("resume", { room: this.#name, token: this.#token, session });
      this.#welcomed(welcome);
      if (resumed.token === this.#token) this.#id = id;
      this.#sit(resumed);
      this.#returned(resumed);
    } catch (thrown) {
      const error = /** @type {CrowflyError} */ (thrown);
      // With a live peer the server is only a convenience: try again, it may come round.
      if (PASSING.has(error.code) || this.#pairing?.live) throw error;
      this.#error(error);
      this.#close(error.code);
    }
  }

  /** @param {Message} resumed */
  #returned(resumed) {
    this.#state = "online";
    this.dispatchEvent(eventWith("signaling", { state: this.#state }));
    const pairing = this.#pairing;
    if (typeof resumed.session === "string" && resumed.session !== pairing?.session) {
      this.#joined(String(resumed.peer), resumed.session); // who came while we were away
    } else if (typeof resumed.peer === "string" && pairing) pairing.peerId = resumed.peer;
    else pairing?.departed("lost");
    this.#pairing?.setOnline(true);
  }

  // Going out

  async #depart() {
    const pairing = this.#pairing;
    const drained = pairing?.drained ?? true;
    pairing?.goodbye();
    if (pairing && !drained) await pairing.drain(DRAIN);
    this.#signaling.send("leave", {});
    this.#close("leave");
  }

  /** The one way out. @param {string} reason */
  #close(reason) {
    if (this.#ended !== null) return;
    this.#ended = reason;
    this.#state = "offline";
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#pairing?.end(reason);
    this.#signaling.close();
    this.dispatchEvent(eventWith("close", { reason }));
  }
}

/** 128 random bits as 22 base64url characters. */
function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
