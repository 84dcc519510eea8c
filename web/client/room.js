/**
 * A room: one's own seat in it, and whoever sits opposite, one after the other.
 *
 * The server's facts come in here and become pairings: who joins last offers, who waited answers. One's own end of a room, however
 * it comes about, is {@link Room.#close}.
 * @module
 */
//# allFunctionsCalledOnLoad
import { CrowflyError } from "./errors.js";
import { eventWith, typedTarget } from "./events.js";
import { readCode, roomLink, serverBase, socketURL } from "./link.js";
import { Pairing } from "./pairing.js";
import { Seal, canSeal, randomText } from "./seal.js";
import { SeatLock } from "./seat-lock.js";
import { Signaling, serverError } from "./signaling.js";
import { Spare } from "./spare.js";

/** @import { Role, RoomEvents, RoomOptions } from "./types.d.ts" */
/** @import { Message } from "./signaling.js" */

/** @typedef {{ name: string, key: string | null, words: string[] | null }} Place a room and the secret that was given with it */

/** Sessions remembered after their end, so that a late message or a late return is recognised. */
const REMEMBERED = 32;
/** How pairings end of which the server does not know. */
const UNTOLD = new Set(["vanished", "failed", "no-offer", "not-verified"]);
/** On leaving, what is still being sent gets this long. */
const DRAIN = 1_000;
/** Who waits in a sealed room for somebody who knows its secret waits no longer after so many who did not. */
const STRIKES = 3;
/** Refusals of `resume` that another try may not meet again. */
const PASSING = new Set(["server-unreachable", "server-silent", "rate-limited", "too-many-rooms"]);

/** Public: see types.d.ts. */
export class Room extends /** @type {typeof typedTarget<RoomEvents>} */ (typedTarget)() {
  /** @type {RoomOptions} */ #options;
  #server;
  /** @type {Signaling} */ #signaling;
  /** @type {Pairing | null} */ #pairing = null;
  /** @type {RTCIceServer[]} */ #servers = [];
  /** @type {"online" | "offline"} */ #state = "offline";
  #name = "";
  /** Whether payloads travel sealed: what was given to enter decides, and nobody else. */ #sealed = false;
  /** @type {string | null} of a sealed room, once it is known */ #key = null;
  /** @type {readonly string[] | null} its words, where they are known */ #words = null;
  #strikes = 0;
  #id = "";
  #token = "";
  /** @type {string | null} why it ended */ #ended = null;
  /** @type {Promise<void> | null} */ #leaving = null;
  /** @type {string[]} */ #past = [];
  /** @type {Promise<void> | null} */ #connecting = null;
  /** @type {Spare} */ #spare;
  #lock = new SeatLock();
  #abort = () => void this.leave();

  /** @param {RoomOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#server = serverBase(options.server);
    this.#spare = new Spare(options.path);
    this.#signaling = new Signaling({
      url: socketURL(this.#server),
      onmessage: (message) => this.#receive(message),
      onoffline: (reason) => this.#offline(reason),
      onreturn: (welcome) => this.#return(welcome),
      urgent: () => this.#pairing !== null,
    });
  }

  /**
   * Begins what a joiner begins with, as far as it goes without a room.
   * @param {RoomOptions} options
   */
  static prepare(options) {
    const room = new Room(options);
    // First the way to the server, which is elsewhere; meanwhile connection, channel and offer are made here.
    room.#connecting = room.#connect();
    room.#connecting.catch(() => room.#close("failed"));
    room.#begin("PEER1", newSession(), "");
    return room;
  }

  /** @param {RoomOptions} options @param {Room | null} prepared */
  static async create(options, prepared) {
    const sealed = sealsNew(options);
    const room = prepared ?? new Room(options);
    room.#sealed = sealed;
    room.#dismiss();
    return room.#enter(options, async () => {
      await (room.#connecting ?? room.#connect());
      // Not sooner: a browser may remember that a module could not be loaded while the server was away.
      const code = sealed ? import("./code.js") : null;
      code?.catch(() => {}); // told where it is awaited
      room.#sit(await room.#signaling.request("create", options.name === undefined ? {} : { room: options.name }));
      if (code) await room.#drawCode(await code);
      room.#expect();
    });
  }

  /** @param {Place} place @param {RoomOptions} options @param {Room | null} prepared */
  static async join({ name, key, words }, options, prepared) {
    const sealed = key !== null || words !== null;
    if (sealed && !canSeal()) throw noCrypto();
    // What needs no server starts before there is one: connection, channel, offer.
    const room = prepared ?? Room.prepare(options);
    const pairing = /** @type {Pairing} */ (room.#pairing);
    room.#sealed = sealed;
    room.#words = words;
    if (key !== null) room.#share(name, key, pairing);
    return room.#enter(options, async () => {
      const own = options.token ? room.#lock.take(options.token) : null;
      if (words) room.#share(name, await (await import("./code.js")).stretch(name, words), pairing);
      await room.#connecting;
      const token = own && (await own) ? options.token : undefined;
      // The offer leaves right behind the join: one trip to the server, not two.
      pairing.trace.note(1, "send", "join");
      const joined = room.#takeSeat(name, pairing.session, token);
      pairing.setOnline(true);
      const seat = await joined;
      room.#sit(seat);
      pairing.trace.note(1, "receive", "joined");
      if (seat.peer === null) {
        room.#dismiss(); // one's own seat taken back, and nobody opposite
        room.#expect();
      } else if (seat.type === "resumed") pairing.setPresence("online"); // the offer behind the refused join found nobody
    });
  }

  get name() {
    return this.#name;
  }
  get link() {
    return roomLink(this.#server, this.#name, this.#key);
  }
  get code() {
    if (!this.#sealed) return this.#name;
    return this.#words && [this.#name, ...this.#words].join("-");
  }
  get open() {
    return !this.#sealed;
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

  /** @param {RoomOptions} options @param {() => Promise<void>} enter */
  async #enter(options, enter) {
    this.#options = options;
    const { signal } = options;
    const pairing = this.#pairing;
    signal?.addEventListener("abort", this.#abort, { once: true });
    try {
      signal?.throwIfAborted();
      await enter();
      return this;
    } catch (error) {
      this.#close("failed");
      throw signal?.aborted ? signal.reason : (pairing?.failure ?? error);
    }
  }

  async #connect() {
    this.#welcomed(await this.#signaling.connect());
    this.#state = "online";
    this.#pairing?.useServers(this.#servers);
  }

  /** The secret of a room just made. @param {typeof import("./code.js")} code */
  async #drawCode({ drawWords, stretch }) {
    const words = drawWords();
    const key = await stretch(this.#name, words);
    this.#words = words;
    this.#key = key;
  }

  /** The secret of a room to be joined. @param {string} room @param {string} key @param {Pairing} pairing */
  #share(room, key, pairing) {
    this.#key = key;
    pairing.seal = new Seal({ key, room, session: pairing.session, role: "PEER1" });
  }

  /**
   * A room ends with its last seat, as when those in it reload the page. A token of it makes it anew, and its link stays good; when both
   * do so at once, the second joins the first.
   * @param {string} name @param {string} session @param {string} [token]
   */
  async #takeSeat(name, session, token) {
    try {
      return await this.#signaling.request("join", { room: name, session, token });
    } catch (refused) {
      const { code } = /** @type {CrowflyError} */ (refused);
      if (!token || (code !== "room-not-found" && code !== "room-unavailable")) throw refused;
      return this.#signaling.request("resume", { room: name, token, session });
    }
  }

  /** @param {Message} welcome */
  #welcomed(welcome) {
    this.#id = String(welcome.peer);
    const handed = Array.isArray(welcome.iceServers) ? welcome.iceServers : [];
    this.#servers = this.#options.iceServers ?? handed;
  }

  /** Credentials of the server's relay expire; newer ones come in time. @param {Message} message */
  #renewed(message) {
    if (this.#options.iceServers || !Array.isArray(message.iceServers)) return;
    this.#servers = message.iceServers;
    if (this.#pairing) this.#pairing.renewServers(this.#servers);
    else if (this.#token !== "") this.#expect();
  }

  /** @param {Message} seat `created`, `joined` or `resumed` */
  #sit(seat) {
    this.#name = String(seat.room);
    this.#token = String(seat.token);
    void this.#lock.take(this.#token);
    if (typeof seat.peer === "string" && this.#pairing) this.#pairing.peerId = seat.peer;
  }

  /** A pairing that came to nothing, before anybody saw it. */
  #dismiss() {
    const pairing = this.#pairing;
    this.#pairing = null;
    pairing?.end("leave");
  }

  /** Gets ready for who comes next. In step mode that is a button. */
  #expect() {
    if (!this.#options.steps) this.#spare.prepare(this.#servers);
  }

  // Pairings

  /** @param {Role} role @param {string} session @param {string} peerId */
  #begin(role, session, peerId) {
    const pairing = new Pairing({
      role,
      session,
      peerId,
      options: this.#options,
      spare: this.#spare,
      signal: (payload) => this.#signal(pairing, payload),
      onend: (reason) => this.#pairingEnded(pairing, reason),
    });
    this.#pairing = pairing;
    return pairing;
  }

  /** @param {Pairing} pairing @param {Record<string, unknown>} payload */
  #signal(pairing, payload) {
    const { session, seal } = pairing;
    if (!this.#sealed) return void this.#signaling.send("signal", { session, payload });
    seal?.seal(payload).then(
      (sealed) => this.#pairing === pairing && this.#signaling.send("signal", { session, payload: sealed }),
      (error) => pairing.refuse(error),
    );
  }

  /** @param {Pairing} pairing @param {unknown} payload */
  #hear(pairing, payload) {
    if (!this.#sealed) return pairing.receive(payload);
    pairing.seal?.open(payload).then((opened) => pairing.receive(opened), (error) => pairing.refuse(error));
  }

  /** @param {Pairing} pairing @param {string} reason */
  #pairingEnded(pairing, reason) {
    if (this.#pairing !== pairing) return;
    this.#pairing = null;
    this.#past.push(pairing.session);
    if (this.#past.length > REMEMBERED) this.#past.shift();
    if (this.#ended !== null) return;
    if (this.#token === "") return void this.#close(reason); // not even seated
    this.dispatchEvent(eventWith("peer-left", { peer: pairing.peer, reason }));
    // Who says goodbye leaves the server as well, unless it cannot reach it.
    const stuck = reason === "goodbye" && pairing.presence === "offline";
    if (stuck || UNTOLD.has(reason)) this.#free(pairing, reason);
    if (reason === "not-verified") this.#strike();
    if (this.#ended === null) this.#expect();
  }

  /**
   * The server believes in a pairing that is over. Who joined goes, if the other still waits there; else the other's seat is freed.
   * @param {Pairing} pairing @param {string} reason
   */
  #free(pairing, reason) {
    if (this.#ended !== null || this.#state === "offline" || pairing.presence === "lost") return;
    if (pairing.role === "PEER1" && pairing.presence === "online") {
      this.#signaling.send("leave", {});
      return void this.#close(reason);
    }
    this.#reject(pairing.session, reason === "no-offer" || reason === "not-verified" ? reason : "other");
  }

  /** Somebody came who does not know the secret. One who could try for ever would find it. */
  #strike() {
    this.#strikes += 1;
    if (this.#strikes < STRIKES || this.#ended !== null) return;
    this.#signaling.send("leave", {});
    this.#close("burned");
  }

  /** @param {string} session @param {"busy" | "no-offer" | "not-verified" | "other"} reason */
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
        if (current) return this.#hear(current, message.payload);
        return this.#pairing?.trace.note(null, "note", "stale-signal", { session: String(message.session).slice(0, 22) });
      case "ice-servers":
        return this.#renewed(message);
      case "peer-left":
        return current?.departed(String(message.reason));
      case "peer-offline":
      case "peer-online":
        return this.#presence(String(message.peer), message.type === "peer-online" ? "online" : "offline");
      case "left":
        return this.#close(String(message.detail ?? message.reason));
      case "error":
        return this.#serverRefused(message);
    }
  }

  /** @param {string} peer @param {"online" | "offline"} presence */
  #presence(peer, presence) {
    if (peer === this.#pairing?.peerId) return this.#pairing.setPresence(presence);
    // Its goodbye was heard, and its word to the server was lost with its connection: its seat need not be kept.
    const last = this.#past.at(-1);
    if (!this.#pairing && last && presence === "offline") this.#reject(last, "other");
  }

  /** Somebody sits down opposite. @param {string} peer @param {string} session */
  #joined(peer, session) {
    const current = this.#pairing;
    if (current?.session === session) {
      current.peerId = peer; // back on a new connection; the pairing is as it was
      return current.setPresence("online");
    }
    // Nor can anybody come who was given the secret before there is one.
    if (this.#past.includes(session) || (this.#sealed && this.#key === null)) return this.#reject(session, "other");
    // The next one, or the same one on a page opened anew, does not wait for the goodbye of the one before.
    if (current?.departing) current.end(current.departing);
    else if (current?.opened) return this.#reject(session, "busy");
    current?.end("lost");
    const pairing = this.#begin("PEER2", session, peer);
    if (this.#key !== null) pairing.seal = new Seal({ key: this.#key, room: this.#name, session, role: "PEER2" });
    pairing.trace.note(2, "receive", "peer-joined");
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
    if (this.#token === "") return this.#close("failed");
    if (reason === "replaced") return this.#close("replaced"); // one's seat was taken elsewhere
    if (this.#state === "offline") return; // lost again before it was back
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
      this.#pairing?.renewServers(this.#servers);
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
    this.#spare.close(); // the server was away, and maybe the network
    if (typeof resumed.session === "string" && resumed.session !== pairing?.session) {
      this.#joined(String(resumed.peer), resumed.session); // who came while we were away
    } else if (typeof resumed.peer === "string" && pairing) {
      pairing.peerId = resumed.peer;
      pairing.returned(); // what the server said of it meanwhile was not heard
    } else pairing?.missed();
    this.#pairing?.setOnline(true);
    if (!this.#pairing) this.#expect();
  }

  // Going out

  async #depart() {
    const pairing = this.#pairing;
    const until = performance.now() + DRAIN;
    // Nothing that was sent before is overtaken by the goodbye, at which the other side closes; Blobs would take too long.
    pairing?.giveUpBlobs();
    if (pairing && pairing.queued) await pairing.wait(until, () => !pairing.queued);
    const drained = pairing?.drained ?? true;
    pairing?.goodbye();
    if (pairing && !drained) await pairing.wait(until, () => pairing.drained);
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
    this.#spare.close();
    this.#lock.close();
    this.#signaling.close();
    this.dispatchEvent(eventWith("close", { reason }));
  }
}

/** 128 random bits as 22 base64url characters. */
function newSession() {
  return randomText(16);
}

/** Whether a room to be made is a sealed one. @param {RoomOptions} options */
function sealsNew({ name, open = name !== undefined || !canSeal() }) {
  if (open && name !== undefined && readCode(name)) throw new CrowflyError("invalid-room-name", "a chosen name cannot begin like a code");
  if (!open && name !== undefined) throw new CrowflyError("invalid-room-name", "a room with a secret has a name that the server draws", { hint: "Leave `name` away." });
  if (!open && !canSeal()) throw noCrypto();
  return !open;
}

function noCrypto() {
  return new CrowflyError("unsupported", "a page that came over plain HTTP may not use cryptography", { hint: "Open it by https://." });
}
