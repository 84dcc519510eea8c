/**
 * QR codes against those that another implementation (the `qrcode` crate 0.14, level M, bytes) makes of the same texts.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { qrCode } from "../app/qr.js";

test("codes of every kind of size are those of another implementation", () => {
  const codes = JSON.parse(readFileSync(new URL("fixtures/qr.json", import.meta.url), "utf8"));
  assert.equal(codes.length, 5);
  for (const { text, rows } of codes) {
    assert.deepEqual(qrCode(text)?.map((row) => row.map((dark) => (dark ? "#" : ".")).join("")), rows, text);
  }
});

test("what is too long has no code", () => {
  assert.equal(qrCode("x".repeat(213))?.length, 57);
  assert.equal(qrCode("x".repeat(214)), null);
  assert.equal(qrCode("ü".repeat(107)), null);
});
