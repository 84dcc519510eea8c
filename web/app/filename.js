/**
 * A name under which a received file can be saved without surprise. The name comes from the other side and may be hostile.
 */

/** Control characters, line separators, and marks that reorder text so that `exe.png` reads as `gnp.exe`. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
/** Path separators, what Windows does not take in a name, and halves of surrogate pairs. */
const FORBIDDEN = /[/\\:*?"<>|]|\p{Cs}/gu;
/** Names Windows gives to devices, with any ending. */
const DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$/i;
const LONGEST = 120;

/**
 * @param {unknown} name as the other side gave it
 * @returns {string} 1 to 120 characters, no path, no leading or trailing dot
 */
export function safeFileName(name) {
  const raw = typeof name === "string" ? name.slice(0, 4096) : "";
  const clean = raw.normalize("NFC").replace(UNSEEN, "").replace(FORBIDDEN, "_").replace(/^[.\s]+|[.\s]+$/g, "");
  const short = shorten(clean);
  if (!short) return "file";
  return DEVICE.test(short) ? `_${short}` : short;
}

/**
 * Keeps the ending, which says what the file is.
 * @param {string} name
 */
function shorten(name) {
  const letters = [...name];
  if (letters.length <= LONGEST) return letters.join("");
  const ending = /\.[^.\s]{1,12}$/u.exec(name)?.[0] ?? "";
  return letters.slice(0, LONGEST - [...ending].length).join("") + ending;
}
