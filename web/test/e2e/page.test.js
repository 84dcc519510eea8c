// The page as a person meets it: what is shown when, what Enter does, what a stranger's text cannot do, every way out and in again.

import assert from "node:assert/strict";

import { KINDS, PAIRS, scenario } from "./harness.js";
import { HOSTILE } from "./hostile.js";
import { Person, byId, messages, pair } from "./person.js";
import { sightings, spy } from "./spy.js";

/** @typedef {import("./browsers.js").Kind} Kind */

for (const kind of KINDS) {
  scenario(`${kind}: the input appears when the channel is open, and not before`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    const link = await ann.create();
    assert.equal(await ann.isShown("chat-input"), false, "nobody to write to yet");
    // From the first moment of the other page, note whether the input was there without an open channel.
    const ben = await Person.at(stage, kind, link, {
      spy: () => {
        const watch = { early: false, open: false };
        Object.assign(globalThis, { watch });
        const { createDataChannel } = RTCPeerConnection.prototype;
        RTCPeerConnection.prototype.createDataChannel = /** @this {RTCPeerConnection} */ function (...args) {
          const channel = createDataChannel.apply(this, args);
          channel.addEventListener("open", () => (watch.open = true));
          return channel;
        };
        new MutationObserver(() => {
          const input = document.querySelector('[data-testid="chat-input"]');
          if (input?.checkVisibility() && !watch.open) watch.early = true;
        }).observe(document, { subtree: true, childList: true, attributes: true });
      },
    });
    await Promise.all([ann.connected(), ben.connected()]);
    assert.deepEqual(await ben.visitor.run(() => /** @type {any} */ (globalThis).watch), { early: false, open: true });
  });

  scenario(`${kind}: Enter sends what is not empty, the input is cleared and the list scrolled; a draft survives what arrives`, async (stage) => {
    const { ann, ben } = await pair(stage, kind, "chromium");
    await ann.say("   ");
    for (let key = 0; key < 3; key += 1) await ann.page.keyboard.press("Backspace");
    await ann.say("hello");
    await ben.hears(1);
    assert.deepEqual(await ben.heard(), ["hello"], "blanks alone are not sent");
    assert.deepEqual(await ann.said(), ["hello"], "what one says stands on one's own side");
    assert.equal(await ann.page.$eval(byId("chat-input"), (input) => /** @type {HTMLTextAreaElement} */ (input).value), "");

    await ann.page.keyboard.type("a line");
    await ann.page.keyboard.down("Shift");
    await ann.page.keyboard.press("Enter");
    await ann.page.keyboard.up("Shift");
    await ann.page.keyboard.type("and one more");
    await ann.page.keyboard.press("Enter");
    await ben.hears(2);
    assert.equal((await ben.heard())[1], "a line\nand one more", "Shift and Enter begin a line");

    await ann.page.keyboard.type("half a thou");
    await ben.sayAll(messages("ben", 60));
    await ann.hears(60);
    const draft = await ann.page.$eval(byId("chat-input"), (input) => {
      const { value, selectionStart } = /** @type {HTMLTextAreaElement} */ (input);
      return { value, selectionStart, focused: document.activeElement === input };
    });
    assert.deepEqual(draft, { value: "half a thou", selectionStart: 11, focused: true });
    await ann.visitor.until((/** @type {string} */ selector) => {
      const log = /** @type {HTMLElement} */ (document.querySelector(selector));
      return log.scrollHeight > log.clientHeight && log.scrollTop + log.clientHeight >= log.scrollHeight - 2;
    }, byId("chat-log"));
    await ann.page.keyboard.type("ght");
    await ann.page.keyboard.press("Enter");
    await ben.hears(3);
    assert.equal((await ben.heard())[2], "half a thought");
  });

  scenario(`${kind}: ${HOSTILE.length} hostile texts are shown as what they are, as messages, file names and links`, async (stage) => {
    const { server, ann, ben } = await pair(stage, kind, "chromium");
    await ben.sayAll(HOSTILE);
    await ann.hears(HOSTILE.length);
    const shown = await ann.heard();
    // On the wire text is UTF-8, which has no lone surrogates.
    HOSTILE.forEach((text, index) => assert.equal(shown[index], Buffer.from(text).toString()));

    await ben.visitor.run((/** @type {string} */ selector, /** @type {string[]} */ names) => {
      const files = new DataTransfer();
      for (const name of names) files.items.add(new File(["x"], name, { type: "text/html" }));
      const input = /** @type {HTMLInputElement} */ (document.querySelector(selector));
      input.files = files.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }, byId("chat-file"), HOSTILE);
    await ann.visitor.until((/** @type {string} */ selector, /** @type {number} */ count) => document.querySelectorAll(selector).length >= count, byId("file-peer"), HOSTILE.length);

    // As the name in a link each of them is refused, and named in the refusal or the field.
    const cay = await Person.at(stage, kind, server.url);
    for (const text of HOSTILE) {
      await cay.visitor.run((/** @type {string} */ name) => {
        document.querySelector('[data-testid="error"]')?.remove();
        location.hash = `#${encodeURIComponent(name)}`;
      }, Buffer.from(text).toString());
      await cay.sees("error");
    }
    for (const person of [ann, ben, cay]) {
      const harm = await person.visitor.run(() => ({
        ran: /** @type {any} */ (globalThis).pwned ?? null,
        foreign: [...document.querySelectorAll("main script, main iframe, main object, main embed, main img, main video, main form[action], main [onerror], main [onload], main [style*=url]")]
          .map((element) => element.outerHTML),
        links: [...document.querySelectorAll("a[href]")].map((a) => a.getAttribute("href")).filter((href) => !/^(\/|blob:|#)/.test(href ?? "")),
      }));
      assert.deepEqual(harm, { ran: null, foreign: [], links: [] });
    }
  });

  scenario(`${kind}: a third person is told the room is full, and the pair does not notice`, async (stage) => {
    const { ann, ben, link } = await pair(stage, kind, "chromium");
    const cay = await Person.at(stage, kind, link);
    await problem(cay, "room-full", /full/);
    await ann.say("still there?");
    await ben.hears(1);
    await ben.say("yes");
    await ann.hears(1);
    assert.deepEqual(await ann.texts("system-line").then((lines) => lines.length), 1, "the pair is told nothing but that it is connected");
    await cay.create();
    await cay.leave();
  });

  scenario(`${kind}: what goes wrong on the way in is said at its field, and can be mended there`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    await ann.click("join-button");
    await problem(ann, "empty", /Nothing to join/);
    await ann.join("k7fq-9xqm-2p4t");
    await problem(ann, "room-not-found", /no such room/);
    await ann.join("nobody-there");
    await problem(ann, "room-unavailable", /Nobody is waiting/);
    await ann.join("a/b?c");
    await problem(ann, "invalid-room-name", /not a room name/);
    await ann.join("http://127.0.0.9:1/#k7fq-9xqm-2p4t");
    await problem(ann, "other-server", /another server/);
    const link = await ann.create("Küche 7");
    assert.equal(await ann.text("room-name"), "küche-7");
    const ben = await Person.at(stage, kind, server.url);
    await ben.fill("start-name", "küche-7");
    await ben.click("start-create");
    await problem(ben, "room-taken", /exists already/);
    await ben.join("KÜCHE 7");
    await Promise.all([ann.connected(), ben.connected()]);
    const cay = await Person.at(stage, kind, link);
    await problem(cay, "room-unavailable", /two people/);
  });

  scenario(`${kind}: without a server, making and joining say so`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url, { expect: [/\/ws\b|crow\.svg/] });
    await ann.sees("start-create");
    await server.kill();
    await ann.click("start-create");
    await problem(ann, "server-unreachable", /./);
    await ann.join("k7fq-9xqm-2p4t");
    await problem(ann, "server-unreachable", /./);
    await server.restart();
    await ann.create();
  });

  scenario(`${kind}: leaving returns to the start page and lets go of everything`, async (stage) => {
    const { server, ann, ben } = await pair(stage, kind, "chromium", { spy });
    await ben.leave();
    await ann.isTold(/other person has left/);
    assert.equal(await ann.isShown("chat-input"), false);
    await ann.leave();
    for (const person of [ann, ben]) {
      await person.visitor.until(() => /** @type {any} */ (globalThis).seen.sockets.every((/** @type {WebSocket} */ { readyState }) => readyState === WebSocket.CLOSED));
      const { connections, intervals, timeouts } = await person.visitor.run(sightings);
      assert.ok(connections.length > 0 && connections.every((/** @type {string} */ state) => state === "closed"), `connections: ${connections}`);
      assert.equal(intervals, 0, "no interval is left");
      assert.deepEqual(timeouts, [], "no timeout is left");
      assert.equal(await person.visitor.run(() => location.hash), "");
    }
    assert.equal(await server.metric("crowfly_connections"), 0);
    assert.equal(await server.metric("crowfly_rooms"), 0);
  });

  scenario(`${kind}: one session after the other without a reload, roles changing`, async (stage) => {
    const server = await stage.serve();
    const [ann, ben] = [await Person.at(stage, kind, server.url, { spy }), await Person.at(stage, "chromium", server.url, { spy })];
    for (const person of [ann, ben]) await person.visitor.run(() => Object.assign(globalThis, { same: true }));
    for (const [maker, joiner] of [[ann, ben], [ben, ann], [ann, ben]]) {
      const link = await maker.create();
      await joiner.join(link);
      await Promise.all([maker.connected(), joiner.connected()]);
      await maker.say("from the maker");
      await joiner.say("from the joiner");
      await Promise.all([maker.hears(1), joiner.hears(1)]);
      assert.deepEqual([await maker.heard(), await joiner.heard()], [["from the joiner"], ["from the maker"]]);
      await joiner.leave();
      await maker.isTold(/other person has left/);
      await maker.leave();
    }
    for (const person of [ann, ben]) {
      assert.equal(await person.visitor.run(() => /** @type {any} */ (globalThis).same), true, "the page was never loaded anew");
      const { early, connections } = await person.visitor.run(sightings);
      assert.equal(early, 0);
      assert.ok(connections.every((/** @type {string} */ state) => state === "closed"), `connections: ${connections}`);
    }
  });

  scenario(`${kind}: open and connected told again change nothing`, async (stage) => {
    const { ann, ben } = await pair(stage, kind, "chromium", { spy });
    await ben.say("one");
    await ann.hears(1);
    for (const person of [ann, ben]) {
      await person.visitor.run(() => {
        const { connections, made, got } = /** @type {any} */ (globalThis).seen;
        for (const pc of connections) for (const type of ["connectionstatechange", "signalingstatechange", "iceconnectionstatechange"]) pc.dispatchEvent(new Event(type));
        for (const channel of [...made, ...got]) channel.dispatchEvent(new Event("open"));
      });
    }
    await ben.say("two");
    await ann.say("three");
    await Promise.all([ann.hears(2), ben.hears(1)]);
    assert.deepEqual(await ann.heard(), ["one", "two"], "nothing is wiped and nothing is doubled");
    assert.deepEqual(await ben.heard(), ["three"]);
    assert.equal((await ann.texts("system-line")).filter((line) => line.startsWith("Connected")).length, 1);
  });

  scenario(`${kind}: from the start page to the chat and out again by keyboard alone`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    await tabTo(ann, "start-create");
    await ann.page.keyboard.press("Enter");
    const link = await ann.link();
    const ben = await Person.at(stage, kind, server.url);
    await tabTo(ben, "join-input");
    await ben.page.keyboard.type(link);
    await ben.page.keyboard.press("Enter");
    await Promise.all([ann.connected(), ben.connected()]);
    for (const person of [ann, ben]) {
      await person.visitor.until((/** @type {string} */ selector) => document.activeElement?.matches(selector), byId("chat-input"));
      await person.page.keyboard.type("typed where the focus was");
      await person.page.keyboard.press("Enter");
    }
    await Promise.all([ann.hears(1), ben.hears(1)]);
    await tabTo(ben, "leave", { back: true });
    await ben.page.keyboard.press("Enter");
    await ben.sees("start-create");
    await ann.isTold(/other person has left/);
    const focused = await ann.visitor.run(() => document.activeElement !== document.body);
    assert.ok(focused, "the focus is not lost when the input goes away");
  });

  scenario(`${kind}: Back leaves the room, and the address leads into it again`, async (stage) => {
    const { ann, ben, link } = await pair(stage, kind, "chromium");
    await ann.visitor.run(() => history.back());
    await ann.sees("start-create");
    await ben.isTold(/other person has left/);
    await ann.visitor.run(() => history.forward());
    await Promise.all([ann.connected(), ben.connected()]);
    assert.equal(await ann.visitor.run(() => location.href), link.split(".").slice(0, -1).join("."), "all but the secret");
  });
}

for (const [first, second] of PAIRS) {
  scenario(`${first} and ${second} come at once for the last seat: one is in, the other is told`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, "chromium", server.url);
    const link = await ann.create();
    const both = await Promise.all([Person.at(stage, first, link), Person.at(stage, second, link)]);
    await ann.connected();
    for (const person of both) {
      await person.visitor.until(() => document.querySelector('[data-testid="error"], [data-testid="peer-state"][data-phase="connected"]'));
    }
    const refused = await Promise.all(both.map((person) => person.isShown("error")));
    assert.deepEqual([...refused].sort(), [false, true], "one is in, one is not");
    const [inside, outside] = refused[0] ? [both[1], both[0]] : both;
    await problem(outside, "room-full", /full/);
    await ann.say("hello, whoever you are");
    await inside.hears(1);
  });
}

/** Until the page says this problem, in words that match. */
async function problem(/** @type {Person} */ person, /** @type {string} */ code, /** @type {RegExp} */ words) {
  await person.visitor.until((/** @type {string} */ selector) => document.querySelector(selector)?.checkVisibility(), `${byId("error")}[data-code="${code}"]`);
  assert.match(await person.page.$eval(`${byId("error")}[data-code="${code}"]`, (element) => element.textContent ?? ""), words);
}

/** Presses Tab until the focus is there. */
async function tabTo(/** @type {Person} */ person, /** @type {string} */ id, { back = false } = {}) {
  for (let presses = 0; presses < 40; presses += 1) {
    if (await person.visitor.run((/** @type {string} */ selector) => document.activeElement?.matches(selector) ?? false, byId(id))) return;
    if (back) await person.page.keyboard.down("Shift");
    await person.page.keyboard.press("Tab");
    if (back) await person.page.keyboard.up("Shift");
  }
  assert.fail(`${id} cannot be reached with Tab`);
}
