/**
 * Texts that were harm somewhere: markup, handlers, links, templates, control and direction characters, strange lengths.
 * @module
 */

/** Anything that runs sets `globalThis.pwned`. */
const RUN = "globalThis.pwned=1";

export const HOSTILE = [
  `<script>${RUN}</script>`,
  `"><script>${RUN}</script>`,
  `</textarea><script>${RUN}</script>`,
  `<img src=x onerror="${RUN}">`,
  `<img src="http://127.0.0.2/pixel.png">`,
  `<svg onload="${RUN}">`,
  `<svg><script>${RUN}</script></svg>`,
  `<iframe srcdoc="<script>parent.pwned=1</script>"></iframe>`,
  `<iframe src="javascript:parent.pwned=1"></iframe>`,
  `<object data="javascript:${RUN}"></object>`,
  `<embed src="javascript:${RUN}">`,
  `<a href="javascript:${RUN}">click</a>`,
  `javascript:${RUN}//`,
  `data:text/html,<script>opener.pwned=1</script>`,
  `<body onload="${RUN}">`,
  `<details open ontoggle="${RUN}">`,
  `<input autofocus onfocus="${RUN}">`,
  `<style>@import "http://127.0.0.2/style.css";</style>`,
  `<link rel=stylesheet href="http://127.0.0.2/style.css">`,
  `<meta http-equiv="refresh" content="0;url=http://127.0.0.2/">`,
  `<base href="http://127.0.0.2/">`,
  `<form action="http://127.0.0.2/"><button>go</button></form>`,
  `<math><mi xlink:href="javascript:${RUN}">x</mi></math>`,
  `<template><script>${RUN}</script></template>`,
  `{{constructor.constructor("${RUN}")()}} \${${RUN}} <%= ${RUN} %>`,
  `&lt;script&gt;${RUN}&lt;/script&gt; &#60;script&#62;`,
  `'; ${RUN}; //`,
  `../../../../etc/passwd`,
  `CON.html\u0000.txt`,
  `\u202Etxt.exe\u202C \u2066hidden\u2069 \u200B\uFEFF`,
  `\u001B[31mred\u001B[0m \u0007\b`,
  `e${"\u0301".repeat(60)} \u{1F469}\u200D\u{1F680} \uD800 lone`,
];
