// Every view, light and dark, wide and on a 320 px phone: axe finds nothing, nothing sticks out sideways. With --screenshots, pictures.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { SCREENSHOTS, scenario } from "./harness.js";
import { HOSTILE } from "./hostile.js";
import { Person, byId, halfway } from "./person.js";

const { source: AXE } = createRequire(import.meta.url)("axe-core");

/** @typedef {import("./browsers.js").Kind} Kind */

const WIDTHS = [1280, 320];
/** A thumb's width in CSS pixels. */
const THUMB = 44;

/** Chromium changes its scheme while it runs, Firefox is told when it starts. @type {{ kind: Kind, schemes: string[], prefs?: Record<string, unknown> }[]} */
const LOOKS = [
  { kind: "chromium", schemes: ["light", "dark"] },
  { kind: "firefox", schemes: ["light"], prefs: { "layout.css.prefers-color-scheme.content-override": 1 } },
  { kind: "firefox", schemes: ["dark"], prefs: { "layout.css.prefers-color-scheme.content-override": 0 } },
];

/** Looks at a view in every width and scheme. */
async function look(/** @type {Person} */ person, /** @type {string} */ view, /** @type {string[]} */ schemes) {
  const { page } = person;
  await person.visitor.run(AXE);
  for (const width of WIDTHS) {
    await page.setViewport({ width, height: width === 320 ? 640 : 800 });
    for (const scheme of schemes) {
      if (person.visitor.kind === "chromium") await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
      await person.visitor.until((/** @type {string} */ wanted) => matchMedia(`(prefers-color-scheme: ${wanted})`).matches, scheme);
      const what = `${view}, ${person.visitor.kind}, ${width} px, ${scheme}`;
      await photograph(page, `${view}-${person.visitor.kind}-${width}-${scheme}`);
      const { violations } = await person.visitor.run(() => /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ["violations"] }));
      const told = violations.map((/** @type {any} */ { id, help, nodes }) => `${id}: ${help}\n    ${nodes.map((/** @type {any} */ node) => `${node.target} ${node.failureSummary}`).join("\n    ")}`);
      assert.deepEqual(told, [], what);
      const overhang = await person.visitor.run(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overhang, 0, `${what}: sticks out by ${overhang} px`);
      assert.deepEqual(await person.visitor.run(cut), [], `${what}: cut off at the side`);
      if (width === 320) assert.deepEqual(await person.visitor.run(narrow, THUMB), [], `${what}: too small for a thumb`);
    }
  }
}

/** Areas that scroll downwards and hold what is wider than they are. Runs in the page. */
function cut() {
  return [...document.querySelectorAll("main *")].filter((area) => {
    const { overflowX, overflowY } = getComputedStyle(area);
    return /auto|scroll/.test(overflowX + overflowY) && area.scrollWidth > area.clientWidth && area.checkVisibility();
  }).map((area) => area.className);
}

/** Controls that a thumb would miss: smaller than that, and nothing around them that takes the tap for them. Runs in the page. */
function narrow(/** @type {number} */ thumb) {
  return [...document.querySelectorAll("button, a[href], summary, textarea, input:not([type=file])")].filter((control) => {
    if (!control.checkVisibility()) return false;
    const { width, height } = control.getBoundingClientRect();
    const around = Number.parseFloat(getComputedStyle(control, "::before").inset) || 0;
    return Math.min(width, height) - 2 * Math.min(around, 0) < thumb - 0.5;
  }).map((control) => control.outerHTML.slice(0, 120));
}

async function photograph(/** @type {import("puppeteer-core").Page} */ page, /** @type {string} */ name) {
  if (!SCREENSHOTS) return;
  await mkdir(SCREENSHOTS, { recursive: true });
  await writeFile(join(SCREENSHOTS, `${name.replace(/\s+/g, "-")}.png`), await page.screenshot());
}

/** Axe sees what is wrong: a view with a fault in it must not pass. */
scenario("the look finds what is wrong", async (stage) => {
  const server = await stage.serve();
  const ann = await Person.at(stage, "chromium", server.url);
  await ann.sees("start-create");
  for (const [harm, finding] of /** @type {[() => void, RegExp][]} */ ([
    [() => document.querySelectorAll("label").forEach((label) => label.remove()), /label/],
    [() => document.querySelectorAll("p").forEach((p) => p.style.setProperty("color", "#999")), /color-contrast/],
    [() => document.body.append(Object.assign(document.createElement("div"), { textContent: "x".repeat(300) })), /sticks out|region/],
    [() => document.querySelectorAll("button").forEach((button) => button.style.setProperty("min-height", "30px")), /thumb/],
    [() => {
      const form = /** @type {HTMLElement} */ (document.querySelector("form"));
      form.style.overflow = "auto";
      form.append(Object.assign(document.createElement("p"), { textContent: "x".repeat(300) }));
    }, /cut off/],
  ])) {
    await ann.page.reload();
    await ann.sees("start-create");
    await ann.visitor.run(harm);
    await assert.rejects(look(ann, "harmed", ["light"]), finding);
  }
});

for (const { kind, schemes, prefs } of LOOKS) {
  const name = `${kind}, ${schemes.join(" and ")}`;
  const at = (/** @type {any} */ stage, /** @type {string} */ url, /** @type {any} */ options = {}) => Person.at(stage, kind, url, { ...options, prefs });
  const see = (/** @type {Person} */ person, /** @type {string} */ view) => look(person, view, schemes);

  scenario(`${name}: start page, what it says when something went wrong, and where it cannot work`, async (stage) => {
    const server = await stage.serve();
    const ann = await at(stage, server.url);
    await ann.sees("start-create");
    await see(ann, "start");
    await ann.join("nobody-there");
    await ann.sees("error");
    await see(ann, "start with an error");
    const ben = await at(stage, server.url, {
      spy: () => {
        delete (/** @type {any} */ (globalThis)).RTCPeerConnection;
        Object.defineProperty(globalThis, "isSecureContext", { value: false });
      },
    });
    await ben.sees("unsupported");
    await see(ben, "unsupported");
  });

  scenario(`${name}: joining a server that does not answer`, async (stage) => {
    const server = await stage.serve();
    const ann = await at(stage, server.url);
    ann.visitor.expect(/\/ws\b/); // Firefox tells of the connection that was given up
    await ann.sees("start-create");
    process.kill(Number(server.pid), "SIGSTOP");
    try {
      await ann.visitor.run(() => { location.hash = "a-room"; });
      await ann.sees("joining");
      await see(ann, "joining");
      await ann.click("cancel-join");
      await ann.sees("start-create");
    } finally {
      process.kill(Number(server.pid), "SIGCONT");
    }
  });

  scenario(`${name}: waiting, chat, log, full room, parted`, async (stage) => {
    const server = await stage.serve();
    const ann = await at(stage, server.url);
    const link = await ann.create();
    await see(ann, "waiting");
    const ben = await Person.at(stage, "chromium", link);
    await Promise.all([ann.connected(), ben.connected()]);
    await ben.say("Hello! The link worked at once.");
    await ann.hears(1);
    await ann.say("Good to see you. Nothing to install?");
    await ann.say("And the server is out of it already, says the line above.");
    await ben.hears(2);
    await ben.say("Nothing at all. Here is the plan for Saturday:");
    await ben.hand("Saturday, the long way round.pdf", 183_000);
    await ann.sees("file-peer");
    await ben.say("If the weather holds we walk over the ridge and down to the lake, else we take the train and have more time for the museum.");
    await ann.hears(3);
    await ann.say("The ridge!");
    await ann.sees("round-trip");
    await see(ann, "chat");

    await ben.sayAll([...HOSTILE.slice(0, 3), "x".repeat(2000)]);
    await ben.hand("a picture with a rather long name, to see where it breaks when there is no room for it.png", 5_000);
    await ann.hears(7);
    await ann.page.focus(byId("chat-input"));
    await ann.page.keyboard.type("A draft");
    await ann.click("log");
    await ann.sees("log-panel");
    await see(ann, "chat with log");
    await ann.click("log");
    const cay = await at(stage, link);
    await cay.sees("error");
    await see(cay, "room full");
    await ben.leave();
    await ann.isTold(/other person has left/);
    await see(ann, "other left");
  });

  scenario(`${name}: files on their way in and out, one that failed, and no server`, async (stage) => {
    const server = await stage.serve();
    const ann = await at(stage, server.url, { spy: halfway, expect: [/\/ws\b|crow\.svg/] });
    const link = await ann.create();
    const ben = await Person.at(stage, "chromium", link, { spy: halfway, expect: [/\/ws\b/] });
    await Promise.all([ann.connected(), ben.connected()]);
    await ann.hand("The slides for Monday, second version.odp", 4_000_000);
    await ben.hand("Holiday film.mp4", 300_000_000);
    await ann.sees("incoming");
    await ann.visitor.until((/** @type {string} */ selector) => /1\.05 MB/.test(document.querySelector(selector)?.textContent ?? ""), byId("outbox"));
    await see(ann, "files on their way");
    await ann.visitor.run(() => /** @type {any} */ (globalThis).fail(new Error("unreadable")));
    await ann.sees("message-failed");
    await see(ann, "a file that failed");
    await server.kill();
    await ann.isTold(/server cannot be reached/);
    await see(ann, "no server");
    await ben.leave();
    await ann.isTold(/other person has left/);
    await see(ann, "alone without a server");
  });

  scenario(`${name}: the other side silent, then lost`, async (stage) => {
    const server = await stage.serve();
    const ann = await at(stage, server.url);
    const ben = await Person.at(stage, "chromium", await ann.create(), { own: true });
    await Promise.all([ann.connected(), ben.connected()]);
    ben.visitor.freeze(true);
    await ann.say("Shall we say eight o'clock?");
    await ann.phase("silent");
    await see(ann, "silent");
    await ben.visitor.kill();
    await ann.isTold(/other person/);
    await see(ann, "lost");
  });

  scenario(`${name}: a seat taken over elsewhere`, async (stage) => {
    const server = await stage.serve();
    const ann = await at(stage, server.url);
    const link = await ann.create();
    const [token, room] = await ann.visitor.run(() => {
      const room = Object.keys(sessionStorage).find((key) => key.startsWith("crowfly-seat:")) ?? "";
      return [sessionStorage.getItem(room), room];
    });
    // The same tab, opened twice: as a duplicated tab is, with its storage.
    const twin = await Person.at(stage, "chromium", server.url);
    await twin.visitor.run((/** @type {string} */ key, /** @type {string} */ value) => sessionStorage.setItem(key, value), String(room), String(token));
    await twin.join(link);
    await twin.page.goto("about:blank");
    await twin.page.goto(link);
    await ann.sees("ended");
    await see(ann, "ended");
  });

  scenario(`${name}: step by step, from the first step to the last, with one that failed`, async (stage) => {
    const server = await stage.serve();
    const ann = await at(stage, server.url);
    await ann.click("step-switch");
    const link = await ann.create();
    await see(ann, "steps waiting");
    const ben = await at(stage, link, {
      spy: () => {
        const { createOffer } = RTCPeerConnection.prototype;
        RTCPeerConnection.prototype.createOffer = /** @type {any} */ (async () => {
          RTCPeerConnection.prototype.createOffer = createOffer;
          throw new DOMException("Not this time.", "OperationError");
        });
      },
    });
    await ben.sees("step-p1-create-connection");
    await see(ben, "steps begin");
    for (const step of ["p1-create-connection", "p1-create-channel", "p1-create-offer"]) await press(ben, step);
    await ben.page.waitForSelector('[data-state="failed"]');
    await see(ben, "steps with a failure");
    for (const step of ["p1-create-offer", "p1-set-local-offer"]) await press(ben, step);
    await ben.sees("end-of-candidates");
    await see(ben, "steps of PEER1");
    await press(ben, "p1-send-offer");
    await ann.sees("step-p2-create-connection");
    await see(ann, "steps of PEER2 begin");
    for (const step of ["p2-create-connection", "p2-set-remote-offer", "p2-create-answer", "p2-set-local-answer"]) await press(ann, step);
    await ann.sees("end-of-candidates");
    await see(ann, "steps of PEER2");
    await press(ann, "p2-send-answer");
    await press(ann, "p2-send-candidates");
    await press(ben, "p1-add-candidates");
    await ben.sees("buffered");
    await see(ben, "steps with a buffer");
    for (const [person, step] of /** @type {[Person, string][]} */ ([[ben, "p1-set-remote-answer"], [ben, "p1-send-candidates"], [ann, "p2-add-candidates"]])) await press(person, step);
    await Promise.all([ann.connected(), ben.connected()]);
    await see(ben, "steps done");
    await see(ann, "steps of PEER2 done");
    await ben.leave();
    await ann.isTold(/other person has left/);
    await see(ann, "steps, other left");
  });
}

/** Presses a step as soon as it can be pressed. */
async function press(/** @type {Person} */ person, /** @type {string} */ step) {
  await person.page.waitForSelector(`${byId(`step-${step}`)}:enabled`);
  await person.click(`step-${step}`);
}
