// Row 58 with browsers: a signaling server in the middle, which is a program of its own (crates/peer/examples/lying_server.rs), serves the
// page as it is and lies about what the two say to each other. In an open room it reads along; in a sealed one no byte comes through.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";

import { KINDS, PAIRS, scenario } from "./harness.js";
import { Person } from "./person.js";
import { BINARY } from "./server.js";
import { Terminal } from "./terminal.js";

/** Built beside the binary. */
const LIAR = join(dirname(BINARY), "examples/lying_server");
const LIES = ["Offer", "Answer", "Both", "OtherKey", "Downgrade", "Change", "Reflect", "Renumber", "Replay", "Roles", "Withhold"];
const CANARY = "the canary sings";

/** Before a server of its own. @param {any} stage @param {string} lie */
async function liar(stage, lie) {
  const server = await stage.serve();
  const child = spawn(LIAR, [lie, new URL(server.url).host], { stdio: ["pipe", "pipe", "inherit"] });
  stage.finally(() => child.kill("SIGKILL"));
  let out = "";
  child.stdout.on("data", (chunk) => (out += chunk));
  while (!out.includes("\n")) await once(child.stdout, "data");
  const [url = ""] = out.split("\n");
  /** What it has come to know, when all is over. @returns {Promise<{ heard: string[], read: string[] }>} */
  const loot = async () => {
    child.stdin.end();
    await once(child, "close");
    return JSON.parse(out.slice(out.indexOf("\n")));
  };
  return { url, loot };
}

/** Until the page says that somebody is gone or was turned away, waits for the next, or is out of the room itself. @param {Person} person */
const refused = (person) =>
  person.visitor.until(() => {
    const shown = ["ended", "invite"].some((id) => document.querySelector(`[data-testid="${id}"]`)?.checkVisibility());
    return shown || document.querySelector('[data-testid="system-line"]') !== null;
  });

/** No channel was open here, ever. @param {Person} person */
async function neverConnected(person) {
  assert.equal(await person.isShown("chat-input"), false);
  assert.deepEqual((await person.texts("system-line")).filter((line) => /connected/i.test(line)), []);
}

/** Their pages are closed, before the server is: they would look for it. @param {Person[]} people */
const gone = (...people) => Promise.all(people.map(({ visitor }) => visitor.close()));

for (const [first, second] of PAIRS) {
  scenario(`${first} and ${second} in an open room: the server in the middle reads along, and the page says that it is not verified`, async (stage) => {
    const { url, loot } = await liar(stage, "Both");
    const ann = await Person.at(stage, first, url);
    const ben = await Person.at(stage, second, await ann.create("nest"));
    await Promise.all([ann.connected(), ben.connected()]);
    for (const person of [ann, ben]) assert.equal(await person.text("verified"), "Not verified");
    await ann.say(CANARY);
    await ben.hears(1);
    await gone(ann, ben);
    assert.deepEqual((await loot()).read, [CANARY]);
  });

  scenario(`${first} and ${second} in a sealed room: the server relays what it cannot read, and the page says that it is verified`, async (stage) => {
    const { url, loot } = await liar(stage, "Relay");
    const ann = await Person.at(stage, first, url);
    const link = await ann.create();
    const code = await ann.text("room-name");
    const ben = await Person.at(stage, second, link);
    await Promise.all([ann.connected(), ben.connected()]);
    for (const person of [ann, ben]) {
      assert.equal(await person.text("verified"), "Verified by code");
      assert.match(await person.visitor.run(() => location.href), /#[\w-]{14}$/, "the secret is not in the address");
    }
    await ann.say(CANARY);
    await ben.hears(1);
    await gone(ann, ben);
    const { heard, read } = await loot();
    const all = heard.join("\n");
    assert.deepEqual(read, []);
    assert.ok(all.includes('"sealed"'));
    for (const secret of [.../** @type {string[]} */ (code.split("-").slice(3)), link.split(".").at(-1) ?? "", "v=0", "candidate", "fingerprint", CANARY]) {
      assert.ok(!all.includes(secret), secret);
    }
  });

  scenario(`${first} and ${second} in a sealed room: whatever the server does, no byte comes through`, async (stage) => {
    for (const lie of LIES) {
      const { url, loot } = await liar(stage, lie);
      const ann = await Person.at(stage, first, url);
      const ben = await Person.at(stage, second, await ann.create());
      await refused(ben);
      await Promise.all([ann, ben].map(neverConnected));
      await gone(ann, ben);
      assert.deepEqual((await loot()).read, [], lie);
    }
  });
}

for (const kind of KINDS) {
  scenario(`${kind} and a terminal: an open room is read, a sealed one is not, in both roles`, async (stage) => {
    const open = await liar(stage, "Both");
    const ann = await Person.at(stage, kind, open.url);
    const reader = Terminal.at(stage, open.url, await ann.create("nest"));
    await ann.connected();
    await reader.tells(/^connected directly.* not verified$/m);
    await ann.say(CANARY);
    await reader.hears(1);
    await gone(ann);
    assert.deepEqual((await open.loot()).read, [CANARY]);
    for (const lie of LIES) {
      const waits = await liar(stage, lie);
      const person = await Person.at(stage, kind, waits.url);
      const joins = Terminal.at(stage, waits.url, await person.create());
      await joins.tells(/^error: |left|vanished|not know the code/m);
      await neverConnected(person);
      await gone(person);
      assert.deepEqual((await waits.loot()).read, [], lie);
      const joined = await liar(stage, lie);
      const terminal = Terminal.at(stage, joined.url);
      const other = await Person.at(stage, kind, await terminal.link());
      await refused(other);
      await neverConnected(other);
      await gone(other);
      assert.deepEqual((await joined.loot()).read, [], lie);
    }
  });

  scenario(`${kind} and a terminal by code: both say that they are verified`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    await ann.create();
    const joins = Terminal.at(stage, server.url, await ann.text("room-name"));
    await ann.connected();
    await joins.tells(/^connected directly.* verified by code$/m);
    assert.equal(await ann.text("verified"), "Verified by code");
    const terminal = Terminal.at(stage, server.url);
    const [, code = ""] = await terminal.tells(/^code {2}(\S+)$/m);
    const ben = await Person.at(stage, kind, server.url);
    await ben.join(code.toUpperCase().replaceAll("-", " "));
    await ben.connected();
    await terminal.tells(/^connected directly.* verified by code$/m);
  });

  scenario(`${kind}: a mistyped word is told, a wrong one turned away, and a reload needs no link`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    await ann.create();
    const code = await ann.text("room-name");
    await ann.click("show-qr");
    await ann.sees("qr-code");
    const ben = await Person.at(stage, kind, server.url);
    await ben.join(`${code}x`);
    await ben.sees("error");
    assert.match(await ben.text("error"), /did you mean/i);
    const other = code.endsWith("-acorn") ? "gizmo" : "acorn";
    await ben.join(code.replace(/[a-z]+$/, other));
    await ben.sees("ended");
    assert.match(await ben.text("ended"), /not that of the room/);
    await ann.isTold(/does not share the secret/);
    await ben.click("to-start");
    await ben.join(code);
    await Promise.all([ann.connected(), ben.connected()]);
    await ben.page.reload({ waitUntil: "domcontentloaded" });
    await Promise.all([ann.connected(), ben.connected()]);
    assert.equal(await ben.text("verified"), "Verified by code");
  });
}
