// The log: what happens, line by line, as somebody who watches would write it down.

import { at, element, rich, spent } from "./words.js";

const CHECKS = { types: "The types hold", server: "The server answers", page: "The page renders on a phone" };

export function clear() {
  at("log").replaceChildren();
}

// It stays at its end, unless its reader has scrolled away from it.
export function atTheEnd(change) {
  const log = at("log");
  const stuck = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  change();
  if (stuck) log.scrollTop = log.scrollHeight;
}

export function say(text, state = "", ms = null) {
  const item = document.createElement("li");
  item.append(element("span", text));
  item.dataset.state = state;
  time(item, ms);
  at("log").append(item);
  return item;
}

// What the model says comes in pieces; they join while nothing else comes between.
export function speak(text) {
  let item = at("log").lastElementChild;
  if (!item?.dataset.voice) {
    if (!text.trim()) return;
    item = say("");
    item.dataset.voice = "model";
    item.said = "";
    text = text.trimStart();
  }
  item.said += text;
  item.firstElementChild.replaceChildren(rich(item.said.trimEnd()));
}

export function began({ id, title, name, summary }) {
  const item = say(title ?? `${name} ${summary}`.trim(), "running");
  item.dataset.id = id;
}

export function ended({ id, ok, ms, trouble, summary }) {
  const item = document.querySelector(`#log li[data-id="${CSS.escape(id)}"]`);
  if (!item) return;
  item.dataset.state = ok ? "on" : "failed";
  if (!ok) item.firstElementChild.append(element("small", trouble || summary));
  time(item, ms);
}

export function checked({ name, ok, detail, ms }) {
  const item = say(ok ? (CHECKS[name] ?? name) : `${CHECKS[name] ?? name}: no`, ok ? "on" : "failed", ms);
  if (!ok) item.firstElementChild.append(element("small", detail));
}

export function committed({ error, pushed, sha, ms }) {
  if (error) say(`The code was not saved to the repository. ${error}`, "failed", ms);
  else if (pushed) say(`The code is saved to the repository (${(sha ?? "").slice(0, 8)})`, "on", ms);
}

// What nothing will end any more: the calls of a run that is over.
export function settle() {
  for (const item of document.querySelectorAll('#log li[data-state="running"]')) item.dataset.state = "";
}

function time(item, ms) {
  if (ms != null) item.append(element("time", spent(ms)));
}
