/**
 * Two clients, one server, all in one process: a whole session and what can happen to it.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createRoom, joinRoom } from "../client/index.js";
import { collect, createWorld, once } from "./fake/world.js";

/** Two who are connected. @param {ReturnType<typeof createWorld>} world @param {object} [options] */
async function pair(world, options) {
  const waiting = await createRoom(options);
  const arrives = once(waiting, "peer");
  const joined = await joinRoom(waiting.link, options);
  const { peer: joiner } = await arrives;
  const creator = /** @type {import("../client/types.d.ts").Peer} */ (joined.peer);
  await world.settle();
  return { waiting, joined, creator, joiner };
}

test("a joiner connects with who waits, and they talk", async (t) => {
  const world = createWorld(t);
  const { creator, joiner } = await pair(world);
  assert.equal(creator.role, "PEER1");
  assert.equal(joiner.role, "PEER2");
  assert.equal(creator.session, joiner.session);
  assert.equal(creator.states.channel, "open");
  assert.equal(joiner.states.connection, "connected");
  const heard = [collect(creator, "message"), collect(joiner, "message")];
  await creator.send("to the one who waited");
  await joiner.send("to the one who came");
  await world.settle();
  assert.deepEqual(heard.map((events) => events.map(({ data }) => data)), [["to the one who came"], ["to the one who waited"]]);
  assert.deepEqual(world.server.relayed.filter((kind) => kind === "offer" || kind === "answer"), ["offer", "answer"]);
});
