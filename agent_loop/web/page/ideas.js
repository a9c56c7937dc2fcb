// Ideas to click: those of the examples, and after one of them what comes next.

import { ask } from "./stream.js";
import { at, element } from "./words.js";

let examples = [];
const same = (one, other) => one.trim().toLowerCase() === other.trim().toLowerCase();

export async function load(choose) {
  const told = await ask("GET", "/api/examples");
  examples = told.examples;
  offer(at("ideas"), first(), choose);
  at("rehearsal").hidden = !told.rehearsal;
}

export const first = () => examples.filter((one) => !one.after).map((one) => one.idea);

// What the examples have for an app that has come so far; nothing for one of somebody's own.
export function following(asked) {
  const done = examples.filter((one) => asked.some((idea) => same(idea, one.idea))).map((one) => one.title);
  return examples.filter((one) => done.includes(one.after) && !done.includes(one.title)).map((one) => one.idea);
}

export function offer(list, ideas, choose) {
  list.replaceChildren(...ideas.map((idea) => {
    const item = document.createElement("li");
    const button = element("button", idea, { type: "button", className: "quiet" });
    button.addEventListener("click", () => choose(idea));
    item.append(button);
    return item;
  }));
}
