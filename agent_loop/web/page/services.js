// The five lights, where the app and its code are, and the names in its environment.

import { ask } from "./stream.js";
import { at, element, link, spent } from "./words.js";

const LEGS = { database: "Database", mail: "Mail", analytics: "Analytics", git: "Repository", vm: "Machine" };

export function reset() {
  at("names").replaceChildren();
  at("links").replaceChildren();
  at("door").replaceChildren();
  at("env").open = false;
  at("lights").replaceChildren(...Object.entries(LEGS).map(([leg, name]) => {
    const item = element("li", name);
    item.dataset.leg = leg;
    item.append(element("small", "waiting"));
    return item;
  }));
}

// A light comes on. Gives the sentence to tell when it does not.
export function lit({ leg, outcome, ms, error, env_names: names }) {
  const item = document.querySelector(`#lights li[data-leg="${leg}"]`);
  if (!item) return "";
  const on = outcome === "made" || outcome === "found";
  item.dataset.state = on ? "on" : outcome === "failed" ? "failed" : "";
  item.title = names.join(", ");
  item.replaceChildren(LEGS[leg], element("small", on ? `on, ${spent(ms)}` : outcome));
  return error ? `${LEGS[leg]}: ${error.message} ${error.next_action}` : "";
}

// Where the app and its code are found.
export async function details(session) {
  const told = await ask("GET", `/api/sessions/${session.slug}`, { key: session.key, signal: session.leaving.signal });
  const doors = [["Preview", told.preview_url], ["Repository", told.repository_url]].filter(([, url]) => url);
  at("links").replaceChildren(...doors.map(([name, url]) => link(name, url)));
  at("door").replaceChildren(...(told.local_preview_url ? ["Also at ", link(told.local_preview_url, told.local_preview_url)] : []));
  at("names").replaceChildren(...told.env_names.flatMap((name) => pair(name, "")));
  return told;
}

export async function reveal(session) {
  const values = await ask("POST", `/api/sessions/${session.slug}/env/reveal`, { key: session.key });
  at("names").replaceChildren(...Object.entries(values).flatMap(([name, value]) => pair(name, value)));
}

const pair = (name, value) => [element("dt", name), element("dd", value)];
