// A browser and a terminal: `crowfly chat` in either role, and a page that cannot tell it from another page.

import assert from "node:assert/strict";

import { KINDS, scenario } from "./harness.js";
import { Person, messages } from "./person.js";
import { Terminal } from "./terminal.js";

/** What a page logs about a server that is gone. */
const NO_SERVER = /\/ws\b|\/app\/icons\/crow\.svg/;
/** Several frames of the main channel, and more than Chromium takes in one message. */
const LONG_LINE = "Krähe ".repeat(60_000).trimEnd();

for (const kind of KINDS) {
  scenario(`a terminal waits, ${kind} joins and offers`, async (stage) => {
    const server = await stage.serve();
    const terminal = Terminal.at(stage, server.url);
    const person = await Person.at(stage, kind, await terminal.link());
    await person.connected();
    await terminal.tells(/^connected directly/m);
    await talk(person, terminal);
    await person.leave();
    await terminal.tells(/the other side left/);
    assert.equal(await terminal.exit(), 0);
  });

  scenario(`${kind} waits, a terminal joins and offers`, async (stage) => {
    const server = await stage.serve();
    const person = await Person.at(stage, kind, server.url);
    const terminal = Terminal.at(stage, server.url, await person.create());
    await person.connected();
    await talk(person, terminal);
    assert.equal(await terminal.leave(), 0);
    await person.isTold(/other person has left/);
  });

  scenario(`${kind} and a terminal go on without the server; the page notices when the terminal's process dies`, async (stage) => {
    const server = await stage.serve();
    const person = await Person.at(stage, kind, server.url);
    const terminal = Terminal.at(stage, server.url, await person.create());
    await person.connected();
    person.visitor.expect(NO_SERVER);
    await server.kill();
    await terminal.tells(/the server is lost/);
    await talk(person, terminal);
    terminal.kill();
    await person.isTold(/other person/);
  });
}

/** Both speak; each hears everything, equal and in order. @param {Person} person @param {Terminal} terminal */
async function talk(person, terminal) {
  const [theirs, ours] = [messages("page", 20), messages("terminal", 20)];
  for (const text of ours) terminal.say(text);
  await Promise.all([person.sayAll(theirs), person.hears(ours.length), terminal.hears(theirs.length)]);
  assert.deepEqual(await person.heard(), ours);
  // A message of several lines comes as several lines.
  assert.deepEqual(terminal.heard.join("\n"), theirs.join("\n"));
  terminal.say(LONG_LINE);
  await person.hears(ours.length + 1);
  // The page shows the beginning of it.
  const [shown = ""] = (await person.heard()).slice(-1);
  assert.ok(shown.length >= 700 && LONG_LINE.startsWith(shown.slice(0, 700)), `${shown.length} characters of ${LONG_LINE.length}`);
}
