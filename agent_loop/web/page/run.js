// A run: how long it has been at work, its end, and what a person can do then.

import * as ideas from "./ideas.js";
import { at, clock, element, link } from "./words.js";

let since = null; // when the run under way was asked for
let ticking = 0;

export function reset() {
  idle(false);
  at("next").hidden = true;
}

export function working(asked) {
  since = Date.parse(asked);
  at("next").hidden = true;
  at("work").hidden = false;
  at("stop").disabled = false;
  at("send").disabled = true;
  clearInterval(ticking);
  ticking = setInterval(tick, 500);
  tick();
}

// `built`: whether there is something to change.
export function idle(built) {
  clearInterval(ticking);
  since = null;
  at("work").hidden = true;
  at("send").disabled = false;
  at("send").textContent = built ? "Change it" : "Build it";
  at("idea").placeholder = built ? "What should change?" : "A run tracker that saves my runs and shows my pace";
}

export const busy = () => since !== null;

// What stands in the box at the end: words, ways out, and ideas to click.
export function next(words, doors, suggested, choose) {
  at("next-words").textContent = words;
  at("doors").replaceChildren(...doors);
  ideas.offer(at("suggested"), suggested, choose);
  at("next").hidden = false;
}

export const door = (text, url) => Object.assign(link(text, url), { className: "button" });

export function button(text, act) {
  const made = element("button", text, { type: "button", className: "button" });
  made.addEventListener("click", act);
  return made;
}

function tick() {
  // A clock that is a little behind the server's shows no time before the beginning.
  at("elapsed").textContent = clock(Math.max(0, (Date.now() - since) / 1000));
}
