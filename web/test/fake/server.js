/**
 * A signaling server in the same process, as far as a client can tell: seats, sessions, tokens, relay, losing and coming back.
 * docs/protocol.md; the real one is in crates/server. {@link FakeServer.WebSocket} is what to put at globalThis.WebSocket.
 */
export class FakeServer {
  /** "up": answers; "down": refuses connections; "silent": accepts and says nothing. @type {"up" | "down" | "silent"} */ mode = "up";
  /** @type {Map<string, Room>} */ rooms = new Map();
  /** @type {Set<FakeSocket>} */ sockets = new Set();
  /** Every message, with who sent it. @type {{ from: string, message: any }[]} */ heard = [];
  /** @type {RTCIceServer[]} */ iceServers = [{ urls: ["stun:stun.example:3478"] }];
  /** How often a connection was tried. */ attempts = 0;
  /** Tokens whose holders are dead: their clients, which live on in the test, are not heard. @type {Set<string>} */ dead = new Set();
  /** Whether names it draws look as those of the real one. */ drawn = false;
  /** Sits in the middle: what is relayed instead of a payload, null for nothing. @type {((payload: any, from: FakeSocket, session: string) => any) | null} */ relay = null;
  #next = 1;

  get WebSocket() {
    const server = this;
    return class extends FakeSocket {
      /** @param {string} url */
      constructor(url) {
        super(server, url);
      }
    };
  }

  /** @param {string} prefix */
  name(prefix) {
    return `${prefix}${this.#next++}`;
  }

  /** Messages of a type a client sent. @param {string} type */
  of(type) {
    return this.heard.filter(({ message }) => message.type === type).map(({ message }) => message);
  }

  /** Payload kinds relayed, descriptions by their type. */
  get relayed() {
    return this.of("signal").map(({ payload }) => payload.description?.type ?? payload.kind);
  }

  /** The process is killed: every connection ends, every room is forgotten. */
  kill() {
    this.mode = "down";
    this.rooms.clear();
    for (const socket of [...this.sockets]) socket.drop();
  }

  /** @param {FakeSocket} socket @param {any} message */
  receive(socket, message) {
    if (this.dead.has(message.token)) return;
    this.heard.push({ from: socket.peer, message });
    const { type, id } = message;
    const handler = /** @type {Record<string, ((socket: FakeSocket, message: any) => any) | undefined>} */ (this.handlers)[type];
    const answer = handler ? handler(socket, message) : { type: "error", code: "unknown-type" };
    if (answer) socket.say(id === undefined ? answer : { ...answer, id });
  }

  handlers = {
    create: (/** @type {FakeSocket} */ socket, /** @type {any} */ { room }) => {
      if (room !== undefined && this.rooms.has(room)) return error("room-taken");
      const name = room ?? (this.drawn ? `k7fq-9xqm-${1000 + this.#next++}` : this.name("room-"));
      this.rooms.set(name, new Room(name));
      return { type: "created", room: name, token: this.#sit(socket, name) };
    },
    join: (/** @type {FakeSocket} */ socket, /** @type {any} */ { room: name, session, token }) => {
      const room = this.rooms.get(name);
      if (!room) return error("room-not-found");
      const old = token && room.seats.find((seat) => seat.token === token);
      if (old) this.#leave(old.socket, "replaced");
      if (room.seats.length > 1) return error("room-full");
      return this.#pair(socket, room, session, "joined");
    },
    resume: (/** @type {FakeSocket} */ socket, /** @type {any} */ { room: name, token, session }) => {
      const room = this.rooms.get(name);
      if (!room) {
        this.rooms.set(name, new Room(name));
        return { type: "resumed", room: name, token: this.#sit(socket, name), peer: null, session: null };
      }
      const seat = room.seats.find((candidate) => candidate.token === token);
      if (!seat && room.seats.length > 1) return error("room-full");
      if (!seat) return session ? this.#pair(socket, room, session, "resumed") : error("bad-token");
      socket.peer = seat.socket.peer;
      socket.room = room;
      seat.socket = socket;
      const opposite = room.opposite(socket);
      opposite?.say({ type: "peer-online", peer: socket.peer });
      return { type: "resumed", room: name, token, peer: opposite?.peer ?? null, session: opposite ? room.session : null };
    },
    signal: (/** @type {FakeSocket} */ socket, /** @type {any} */ { session, payload }) => {
      const opposite = socket.room?.opposite(socket);
      if (!socket.room) return error("not-in-room");
      if (!opposite) return error("no-peer");
      if (session !== socket.room.session) return error("stale-session");
      if (!this.sockets.has(opposite)) return error("peer-offline");
      const relayed = this.relay ? this.relay(payload, socket, session) : payload;
      if (relayed !== null) opposite.say({ type: "signal", from: socket.peer, session, payload: relayed });
    },
    ping: () => ({ type: "pong" }),
    leave: (/** @type {FakeSocket} */ socket) => {
      const room = socket.room?.name;
      this.#leave(socket, "leave");
      return { type: "left", room, reason: "leave" };
    },
    reject: (/** @type {FakeSocket} */ socket, /** @type {any} */ { session, reason }) => {
      const opposite = socket.room?.opposite(socket);
      if (!opposite || socket.room?.session !== session) return error("no-peer");
      socket.room.seats = socket.room.seats.filter((seat) => seat.socket === socket);
      opposite.room = null;
      opposite.say({ type: "left", room: socket.room.name, reason: "rejected", detail: reason });
      return { type: "peer-left", peer: opposite.peer, session, reason: "rejected" };
    },
  };

  /** A connection ended; the seat is kept. @param {FakeSocket} socket */
  lost(socket) {
    if (!this.sockets.delete(socket)) return;
    if (!socket.room?.seats.some((seat) => seat.socket === socket)) return; // taken over from a new connection
    socket.room?.opposite(socket)?.say({ type: "peer-offline", peer: socket.peer });
  }

  /** The seat of a lost connection is not kept any longer. @param {FakeSocket} socket */
  expire(socket) {
    this.#leave(socket, "lost");
  }

  /** @param {FakeSocket} socket @param {string} name */
  #sit(socket, name) {
    const token = this.name("token-");
    const room = /** @type {Room} */ (this.rooms.get(name));
    room.seats.push({ socket, token });
    socket.room = room;
    return token;
  }

  /** @param {FakeSocket} socket @param {Room} room @param {string} session @param {string} type */
  #pair(socket, room, session, type) {
    const token = this.#sit(socket, room.name);
    const opposite = room.opposite(socket);
    if (!opposite) return { type, room: room.name, token, peer: null, session: null };
    room.session = session;
    opposite.say({ type: "peer-joined", peer: socket.peer, session });
    return { type, room: room.name, token, peer: opposite.peer, session };
  }

  /** @param {FakeSocket} socket @param {string} reason */
  #leave(socket, reason) {
    const { room } = socket;
    if (!room) return;
    const opposite = room.opposite(socket);
    room.seats = room.seats.filter((seat) => seat.socket !== socket);
    socket.room = null;
    opposite?.say({ type: "peer-left", peer: socket.peer, session: room.session, reason });
    if (room.seats.length === 0) this.rooms.delete(room.name);
  }
}

class Room {
  /** @type {{ socket: FakeSocket, token: string }[]} */ seats = [];
  /** @type {string | null} */ session = null;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /** @param {FakeSocket} socket */
  opposite(socket) {
    return this.seats.find((seat) => seat.socket !== socket)?.socket;
  }
}

/** @param {string} code */
function error(code) {
  return { type: "error", code, message: code };
}

/** A WebSocket whose other end is a {@link FakeServer}. */
export class FakeSocket extends EventTarget {
  static OPEN = 1;
  readyState = 0;
  peer = "";
  /** @type {Room | null} */ room = null;

  /** @param {FakeServer} server @param {string} url */
  constructor(server, url) {
    super();
    this.server = server;
    this.url = url;
    server.attempts += 1;
    queueMicrotask(() => {
      if (this.readyState !== 0) return;
      if (server.mode === "down") return this.#end("");
      this.readyState = 1;
      this.peer = server.name("peer-");
      server.sockets.add(this);
      if (server.mode === "up") this.say({ type: "welcome", protocol: 1, peer: this.peer, iceServers: server.iceServers });
    });
  }

  /** @param {string} text */
  send(text) {
    const message = JSON.parse(text);
    if (this.readyState === 1) queueMicrotask(() => this.server.mode === "up" && this.server.receive(this, message));
  }

  /** @param {number} [_code] */
  close(_code) {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    queueMicrotask(() => {
      this.server.lost(this);
      this.#end("");
    });
  }

  // The server's side

  /** @param {object} message */
  say(message) {
    // Each message is a task of its own, as in a browser.
    setImmediate(() => {
      if (this.readyState === 1) this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(message) }));
    });
  }

  /** The connection is lost, or ended by the server with a reason. */
  drop(reason = "") {
    this.server.lost(this);
    this.#end(reason);
  }

  /** @param {string} reason */
  #end(reason) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { reason }));
  }
}
