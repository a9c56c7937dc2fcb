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

const light = (leg) => document.querySelector(`#lights li[data-leg="${leg}"]`);

// These are being made.
export function asked({ legs }) {
  for (const item of legs.map(light).filter(Boolean)) {
    item.dataset.state = "";
    item.replaceChildren(LEGS[item.dataset.leg], element("small", "waiting"));
  }
}

// A light comes on. Gives the sentence to tell when it does not.
export function lit({ leg, outcome, ms, error, env_names: names }) {
  const item = light(leg);
  if (!item) return "";
  const on = outcome === "made" || outcome === "found";
  item.dataset.state = on ? "on" : outcome === "failed" ? "failed" : "";
  item.title = names.join(", ");
  item.replaceChildren(LEGS[leg], on ? element("small", `on, ${spent(ms)}`) : later(leg, outcome));
  return error ? `${LEGS[leg]}: ${error.message} ${error.next_action}` : "";
}

// What is missing can be made at any time.
function later(leg, outcome) {
  const button = element("button", outcome === "failed" ? "Try again" : "Add", { type: "button", className: "quiet" });
  button.value = leg;
  button.setAttribute("aria-label", `${button.textContent}: ${LEGS[leg]}`);
  return button;
}

export const provision = ({ slug, key }, leg) => ask("POST", `/api/sessions/${slug}/services`, { key, body: { services: [leg] } });

// Where the app and its code are found.
export async function details(session) {
  const told = await ask("GET", `/api/sessions/${session.slug}`, { key: session.key, signal: session.leaving.signal });
  const doors = [["Preview", told.preview_url], ["Repository", told.repository_url]].filter(([, url]) => url);
  for (const leg of told.legs.filter(({ outcome }) => outcome === "skipped")) lit({ ...leg, leg: leg.name });
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
