// Every view, light and dark, wide and on a 320 px phone: axe finds nothing, nothing sticks out sideways. With --screenshots, pictures.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { SCREENSHOTS, scenario } from "./harness.js";
import { HOSTILE } from "./hostile.js";
import { Person, byId } from "./person.js";

const { source: AXE } = createRequire(import.meta.url)("axe-core");

const WIDTHS = [1280, 320];
const SCHEMES = ["light", "dark"];

/** Looks at a view in every width and scheme. */
async function look(/** @type {Person} */ person, /** @type {string} */ view) {
  const { page } = person;
  await person.visitor.run(AXE);
  for (const width of WIDTHS) {
    await page.setViewport({ width, height: width === 320 ? 640 : 800 });
    for (const scheme of SCHEMES) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
      await person.visitor.until((/** @type {string} */ wanted) => matchMedia(`(prefers-color-scheme: ${wanted})`).matches, scheme);
      const what = `${view}, ${width} px, ${scheme}`;
      const { violations } = await person.visitor.run(() => /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ["violations"] }));
      const told = violations.map((/** @type {any} */ { id, help, nodes }) => `${id}: ${help}\n    ${nodes.map((/** @type {any} */ node) => `${node.target} ${node.failureSummary}`).join("\n    ")}`);
      assert.deepEqual(told, [], what);
      const overhang = await person.visitor.run(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overhang, 0, `${what}: sticks out by ${overhang} px`);
      await photograph(page, `${view}-${width}-${scheme}`);
    }
  }
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
  ])) {
    await ann.page.reload();
    await ann.sees("start-create");
    await ann.visitor.run(harm);
    await assert.rejects(look(ann, "harmed"), finding);
  }
});

scenario("start page, and what it says when something went wrong", async (stage) => {
  const server = await stage.serve();
  const ann = await Person.at(stage, "chromium", server.url);
  await ann.sees("start-create");
  await look(ann, "start");
  await ann.join("nobody-there");
  await ann.sees("error");
  await look(ann, "start with an error");
});

scenario("waiting, chat, log, file, full room, parted, ended", async (stage) => {
  const server = await stage.serve();
  const ann = await Person.at(stage, "chromium", server.url);
  const link = await ann.create();
  await look(ann, "waiting");
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
  await look(ann, "chat");

  await ben.sayAll([...HOSTILE.slice(0, 3), "x".repeat(2000)]);
  await ben.hand("a picture with a rather long name, to see where it breaks when there is no room for it.png", 5_000);
  await ann.hears(7);
  await ann.page.keyboard.type("A draft");
  await ann.click("log");
  await ann.sees("log-panel");
  await look(ann, "chat with log");
  await ann.click("log");
  const cay = await Person.at(stage, "chromium", link);
  await cay.sees("error");
  await look(cay, "room full");
  await ben.leave();
  await ann.isTold(/other person has left/);
  await look(ann, "other left");
});

scenario("a seat taken over elsewhere", async (stage) => {
  const server = await stage.serve();
  const ann = await Person.at(stage, "chromium", server.url);
  const link = await ann.create();
  const [token, room] = await ann.visitor.run(() => [sessionStorage.getItem(sessionStorage.key(0) ?? ""), sessionStorage.key(0)]);
  // The same tab, opened twice: as a duplicated tab is, with its storage.
  const twin = await Person.at(stage, "chromium", server.url);
  await twin.visitor.run((/** @type {string} */ key, /** @type {string} */ value) => sessionStorage.setItem(key, value), String(room), String(token));
  await twin.join(link);
  await twin.page.goto("about:blank");
  await twin.page.goto(link);
  await ann.sees("ended");
  await look(ann, "ended");
});

scenario("step by step: waiting, in the middle, at the end", async (stage) => {
  const server = await stage.serve();
  const ann = await Person.at(stage, "chromium", server.url);
  await ann.click("step-switch");
  const link = await ann.create();
  await look(ann, "steps waiting");
  const ben = await Person.at(stage, "chromium", link);
  for (const step of ["p1-create-connection", "p1-create-channel", "p1-create-offer", "p1-set-local-offer"]) await press(ben, step);
  await ben.sees("end-of-candidates");
  await look(ben, "steps of PEER1");
  await press(ben, "p1-send-offer");
  for (const step of ["p2-create-connection", "p2-set-remote-offer", "p2-create-answer", "p2-set-local-answer"]) await press(ann, step);
  await ann.sees("end-of-candidates");
  await look(ann, "steps of PEER2");
  await press(ann, "p2-send-answer");
  await press(ann, "p2-send-candidates");
  await press(ben, "p1-add-candidates");
  await ben.sees("buffered");
  await look(ben, "steps with a buffer");
  for (const [person, step] of /** @type {[Person, string][]} */ ([[ben, "p1-set-remote-answer"], [ben, "p1-send-candidates"], [ann, "p2-add-candidates"]])) await press(person, step);
  await Promise.all([ann.connected(), ben.connected()]);
  await look(ben, "steps done");
});

/** Presses a step as soon as it can be pressed. */
async function press(/** @type {Person} */ person, /** @type {string} */ step) {
  await person.page.waitForSelector(`${byId(`step-${step}`)}:enabled`);
  await person.click(`step-${step}`);
}
