// What the server hands out is what lies here: the same scripts, line for line, without their comments.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { tokenizer } from "acorn";

import { Server } from "./server.js";

const WEB = fileURLToPath(new URL("../../", import.meta.url));
const server = await Server.start([]);
after(() => server.stop());

for (const folder of ["app", "client"]) {
  for (const name of await readdir(WEB + folder, { recursive: true })) {
    if (!name.endsWith(".js")) continue;
    const path = `${folder}/${name}`;
    test(`${path} is served token for token, each in its line`, async () => {
      const source = await readFile(WEB + path, "utf8");
      const served = await (await fetch(new URL(path, server.url))).text();
      assert.deepEqual(tokens(served), tokens(source));
      assert.doesNotMatch(served, /^\s*(\/\*|\/\/(?!# ))/m, "no comment begins a line, but what it says to the browser");
    });
  }
}

/** @param {string} script */
function tokens(script) {
  const found = tokenizer(script, { ecmaVersion: "latest", sourceType: "module", locations: true });
  return Array.from(found, (/** @type {any} */ { type, value, loc }) => `${loc?.start.line}: ${type.label} ${String(value)}`);
}
