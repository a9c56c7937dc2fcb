// The phone: the app in its frame, or a sentence where there is none.

import { at } from "./words.js";

let url = null; // where the app is
let empty = "The app appears here."; // what stands there without one; null while the app is shown
let past = false; // while old events are told again nothing is loaded: only the last of them counts

export function reset(words) {
  url = null;
  empty = words;
  past = false;
  draw();
}

// Old events follow, up to `present`.
export function replay() {
  past = true;
}

export function present() {
  past = false;
  draw();
}

export const shows = () => url !== null && empty === null;

export function found(address) {
  url = address;
  empty = null;
  draw();
}

export function say(words) {
  empty = words;
  draw();
}

// The app again, where a sentence stood instead.
export function back() {
  if (url) empty = null;
  draw();
}

// What the app asked for before its tables were there failed; show it as it is now.
export function again() {
  const frame = at("preview");
  if (!past && !frame.hidden) frame.src = frame.src;
}

function draw() {
  const frame = at("preview");
  const shown = shows();
  at("nothing").textContent = empty ?? "";
  at("nothing").hidden = shown;
  at("door").hidden = !shown;
  frame.hidden = !shown;
  if (past) return;
  if (!shown) frame.removeAttribute("src");
  else if (frame.getAttribute("src") !== url) frame.src = url;
}
