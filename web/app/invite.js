/**
 * The link of a room with what is needed to hand it over. Shown while nobody else is in the room.
 */
import { announce, el, flight, icon, setText } from "./dom.js";

/**
 * @param {{ link: string, name: string }} room
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
  const heading = el("h2", { tabindex: -1 });
  const element = el("section", { class: "invite", test: "invite", "aria-label": "Invitation", hidden: true },
    flight(),
    heading,
    el("p", { class: "hint" }, "Send this link to one person. Whoever opens it first is connected to you."),
    link,
    el("div", { class: "row" }, copy, share),
    el("p", { class: "hint" }, "Or tell them the name: ", el("bdi", { class: "name", test: "room-name" }, room.name)));
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
