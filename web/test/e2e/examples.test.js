// The examples of `crates/peer` do what they say, two of them with a browser.

import assert from "node:assert/strict";

import { scenario } from "./harness.js";
import { Person } from "./person.js";
import { Process, example } from "./process.js";

scenario("echo_peer says what it is told", async (stage) => {
  const server = await stage.serve();
  const program = new Process(stage, example("echo_peer"), [server.url]);
  const person = await Person.at(stage, "chromium", await program.line());
  await person.connected();
  await person.sayAll(["caw", "kroah"]);
  await person.hears(2);
  assert.deepEqual(await person.heard(), ["caw", "kroah"]);
});

scenario("browser counts what it is told", async (stage) => {
  const server = await stage.serve();
  const program = new Process(stage, example("browser"), [server.url]);
  const person = await Person.at(stage, "firefox", await program.line());
  await person.connected();
  await person.sayAll(["caw", "Krähe"]);
  await person.hears(2);
  assert.deepEqual(await person.heard(), ["1: 3 characters", "2: 5 characters"]);
  await person.leave();
  assert.equal(await program.exit(), 0);
});

scenario("chat talks with a page and leaves when its lines end", async (stage) => {
  const server = await stage.serve();
  const person = await Person.at(stage, "chromium", server.url);
  const link = await person.create();
  const program = new Process(stage, example("chat"), [link]);
  assert.equal(await program.line(), link);
  await person.connected();
  program.say("caw");
  await person.hears(1);
  await person.sayAll(["kroah"]);
  assert.equal(await program.line(), "> kroah");
  assert.equal(await program.exit(), 0);
  await person.isTold(/other person has left/);
});

scenario("copy_and_paste needs no server", async (stage) => {
  const [here, there] = ["offer", "answer"].map((role) => new Process(stage, example("copy_and_paste"), [role]));
  assert.equal(await here.line(), "carry this over:");
  assert.equal(await there.line(), "paste the offer:");
  there.say(await here.line());
  assert.equal(await there.line(), "carry this back:");
  assert.equal(await here.line(), "paste the answer:");
  here.say(await there.line());
  for (const side of [here, there]) {
    assert.equal(await side.line(), "they said: caw");
    assert.equal(await side.exit(), 0);
  }
});
