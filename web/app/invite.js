/**
 * The link of a room with what is needed to hand it over. Shown while nobody else is in the room.
 */
import { announce, el, flight, icon, setText } from "./dom.js";

/**
 * @param {{ link: string, code: string | null, open: boolean }} room
 * @param {{ steps: boolean }} options in step mode the link says so too
 */
export function inviteView(room, { steps }) {
  const url = new URL(room.link);
  if (steps) url.search = "?steps";
  const link = el("p", { class: "room-link", test: "room-link", "aria-label": "Link to this room" }, url.href.slice(0, -url.hash.length), el("wbr"), url.hash);
  const copyWords = el("span", {}, "Copy link");
  const copy = el("button", {
    class: "primary", type: "button", test: "copy-link",
    click: async () => {
      const copied = await copyToClipboard(url.href, link);
      setText(copyWords, copied ? "Copied" : "Select and copy it");
      announce(copied ? "Link copied" : "The link is selected: copy it with the keyboard");
      setTimeout(() => setText(copyWords, "Copy link"), 2500);
    },
  }, icon("copy"), copyWords);
  const share = typeof navigator.share === "function" && el("button", {
    type: "button", test: "share-link",
    // An AbortError only means that the person closed the share sheet.
    click: () => navigator.share({ title: "Crowfly", text: "Talk to me directly:", url: url.href }).catch(() => {}),
  }, icon("share"), "Share");
  const picture = el("div", { class: "qr", test: "qr-code", hidden: true });
  const qr = el("button", {
    type: "button", test: "show-qr", "aria-expanded": "false",
    click: async () => {
      if (!picture.hasChildNodes()) picture.append(drawing((await import("./qr.js")).qrCode(url.href)));
      picture.hidden = !picture.hidden;
      qr.setAttribute("aria-expanded", String(!picture.hidden));
    },
  }, "QR code");
  const heading = el("h2", { tabindex: -1 });
  const element = el("section", { class: "invite", test: "invite", "aria-label": "Invitation", hidden: true },
    flight(),
    heading,
    el("p", { class: "hint" }, "Send this link to one person. Whoever opens it first is connected to you."),
    link,
    el("div", { class: "row" }, copy, share, qr),
    picture,
    room.code && el("p", { class: "hint" }, room.open ? "Or tell them the name: " : "Or tell them the code: ",
      el("bdi", { class: "name", test: "room-name" }, room.code)),
    !room.open && el("p", { class: "hint" }, "Link and code hold a secret that the server never sees: with it your browsers know each other."));
  return {
    element,
    focus: () => heading.focus(),
    /** @param {boolean} again whether somebody has been here before */
    show: (again) => {
      setText(heading, again ? "The room stays open" : "Your room is ready");
      element.hidden = false;
    },
    hide: () => { element.hidden = true; },
  };
}

/**
 * The clipboard exists in secure contexts only; elsewhere the old way, which needs a selection.
 * @param {string} text
 * @param {HTMLElement} shown the element holding the text
 */
async function copyToClipboard(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return document.execCommand("copy");
  }
}

/** Dark on light in every theme, with the quiet zone that readers need. @param {boolean[][] | null} rows */
function drawing(rows) {
  if (!rows) return el("p", {}, "This link is too long for a QR code.");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const size = rows.length + 8;
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of the link");
  svg.setAttribute("shape-rendering", "crispEdges");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : ""))).join(""));
  svg.append(path);
  return svg;
}
