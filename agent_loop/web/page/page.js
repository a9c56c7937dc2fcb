// The page: one idea in; four lights, what is happening, and the app itself.

import { ask, events, Refused } from "./stream.js";
import * as sessions from "./sessions.js";

const LEGS = { database: "Database", mail: "Mail", analytics: "Analytics", git: "Repository", vm: "Machine" };
const at = (id) => document.getElementById(id);
const spent = (ms) => (ms == null ? "" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

let title = ""; // of the run that has begun and not yet said anything
let current = null; // { slug, key, idea, leaving: AbortController }

// The stack: the page is there before it is.
async function awaitStack() {
  for (;;) {
    let told = null;
    try {
      told = await ask("GET", "/api/stack");
    } catch {
      at("stack").textContent = "The server does not answer.";
    }
    if (told?.ready) {
      at("stack").textContent = "";
      at("send").disabled = false;
      return;
    }
    if (told) at("stack").textContent = told.error ? `${told.error.message} ${told.error.next_action}` : starting(told.steps);
    at("send").disabled = true;
    await new Promise((done) => setTimeout(done, 250));
  }
}

function starting(steps) {
  const now = steps.find((step) => step.state === "running");
  return now ? `Starting: ${now.name}${now.detail ? `, ${now.detail}` : ""}` : "Starting";
}

// One app at a time is shown.
function show(session) {
  current?.leaving.abort();
  current = { ...session, leaving: new AbortController() };
  for (const id of ["services", "story"]) at(id).hidden = false;
  at("fresh").hidden = false;
  at("log").replaceChildren();
  at("names").replaceChildren();
  at("links").replaceChildren();
  at("door").textContent = "";
  at("env").open = false;
  at("lights").replaceChildren(...Object.entries(LEGS).map(([leg, name]) => light(leg, name)));
  at("ask-title").textContent = session.idea;
  at("idea").placeholder = "What should change?";
  at("send").textContent = "Change it";
  at("hint").textContent = "";
  preview(null);
  list();
  follow(current).catch((error) => {
    if (current?.slug !== session.slug || error.name === "AbortError") return;
    if (error instanceof Refused && error.status === 404) sessions.forget(session.slug);
    problem(error.message);
    list();
  });
}

async function follow(session) {
  for await (const event of events(session.slug, session.key, session.leaving.signal)) atTheEnd(() => tell(event, session));
}

// The story stays at its end, unless its reader has scrolled away from it.
function atTheEnd(change) {
  const log = at("log");
  const stuck = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  change();
  if (stuck) log.scrollTop = log.scrollHeight;
}

function tell({ type, data }, session) {
  switch (type) {
    case "leg.finished":
      lit(data);
      break;
    case "env.written":
      say(`${data.names.length} names written to /app/.env`, "on", data.ms);
      break;
    case "provisioned":
      details(session);
      break;
    case "preview.ready":
      preview(data.url);
      say("The app is up", "on", data.ms);
      break;
    case "run.requested":
      working(true);
      if (data.number > 1) say(`You asked: ${data.idea}`);
      break;
    case "run.started":
      title = data.model === "rehearsal" ? "The rehearsal, a scripted model, is at work" : `${data.model} is at work`;
      break;
    case "turn.started": // said with the first turn: the backend comes first
      if (title) say(title);
      title = "";
      break;
    case "text":
      speak(data.text);
      break;
    case "tool.started":
      say(`${data.name} ${data.summary}`.trim(), "", null, data.id);
      break;
    case "tool.finished":
      ended(data);
      break;
    case "check":
      say(`Check: ${data.name}${data.ok ? "" : `. ${data.detail}`}`, data.ok ? "on" : "failed", data.ms);
      break;
    case "commit":
      say(data.error ? `Commit: ${data.error}` : `Commit ${(data.sha ?? "").slice(0, 8)} ${data.pushed ? "pushed" : ""}`, data.error ? "failed" : "on", data.ms);
      break;
    case "run.finished":
      working(false);
      // What the app asked for before its tables were there failed; show it as it is now.
      if (data.outcome === "done") again();
      say(data.outcome === "done" ? "Done" : `${data.outcome === "stopped" ? "Stopped" : "Failed"}. ${data.reason ?? ""}`, data.outcome === "done" ? "on" : "failed", data.ms);
      break;
    case "session.destroyed":
      sessions.forget(session.slug);
      list();
      say("This app was destroyed");
      break;
  }
}

// Lights
function light(leg, name) {
  const item = document.createElement("li");
  item.dataset.leg = leg;
  item.append(name, small("waiting"));
  return item;
}

function lit({ leg, outcome, ms, error, env_names: names }) {
  const item = document.querySelector(`#lights li[data-leg="${leg}"]`);
  if (!item) return;
  const on = outcome === "made" || outcome === "found";
  item.dataset.state = on ? "on" : outcome === "failed" ? "failed" : "";
  item.title = names.join(", ");
  item.replaceChildren(LEGS[leg], small(on ? `on, ${spent(ms)}` : outcome));
  if (error) say(`${LEGS[leg]}: ${error.message} ${error.next_action}`, "failed", ms);
}

function small(text) {
  const element = document.createElement("small");
  element.textContent = text;
  return element;
}

// The log
function say(text, state = "", ms = null, id = "") {
  const item = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = text;
  item.append(words);
  item.dataset.state = state;
  if (id) item.dataset.id = id;
  time(item, ms);
  at("log").append(item);
  return item;
}

// What the model says comes in pieces; they join while nothing else comes between.
function speak(text) {
  const last = at("log").lastElementChild;
  if (last?.dataset.voice) last.firstElementChild.textContent += text;
  else if (text.trim()) say(text.trimStart()).dataset.voice = "model";
}

function ended({ id, ok, ms, summary }) {
  const item = document.querySelector(`#log li[data-id="${CSS.escape(id)}"]`);
  if (!item) return;
  item.dataset.state = ok ? "on" : "failed";
  if (!ok && summary) item.firstElementChild.textContent += `\n${summary}`;
  time(item, ms);
}

function time(item, ms) {
  if (ms == null) return;
  const element = document.createElement("time");
  element.textContent = spent(ms);
  item.append(element);
}

// The app
function again() {
  const frame = at("preview");
  if (!frame.hidden) frame.src = frame.src;
}

function preview(url) {
  const frame = at("preview");
  at("nothing").hidden = Boolean(url);
  frame.hidden = !url;
  if (url && frame.getAttribute("src") !== url) frame.src = url;
  if (!url) frame.removeAttribute("src");
}

async function details(session) {
  try {
    const told = await ask("GET", `/api/sessions/${session.slug}`, { key: session.key });
    if (current?.slug !== session.slug) return;
    at("links").replaceChildren(...[["Preview", told.preview_url], ["Repository", told.repository_url]].filter(([, url]) => url).map(link));
    at("door").textContent = told.local_preview_url ? `Also at ${told.local_preview_url}` : "";
    at("names").replaceChildren(...told.env_names.flatMap((name) => pair(name, "")));
  } catch (error) {
    problem(error.message);
  }
}

function link([name, url]) {
  const anchor = document.createElement("a");
  if (/^https?:\/\//.test(url)) anchor.href = url;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer";
  anchor.textContent = name;
  return anchor;
}

function pair(name, value) {
  const term = document.createElement("dt");
  const meaning = document.createElement("dd");
  term.textContent = name;
  meaning.textContent = value;
  return [term, meaning];
}

// The list
function list() {
  const mine = sessions.all();
  at("mine").hidden = mine.length === 0;
  at("sessions").replaceChildren(...mine.map((session) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = session.idea;
    button.setAttribute("aria-current", String(session.slug === current?.slug));
    button.addEventListener("click", () => show(session));
    item.append(button);
    return item;
  }));
}

function working(busy) {
  at("send").disabled = busy;
}

function problem(text) {
  at("problem").hidden = !text;
  at("problem").textContent = text ?? "";
}

function reset() {
  current?.leaving.abort();
  current = null;
  for (const id of ["services", "story", "fresh"]) at(id).hidden = true;
  at("ask-title").textContent = "What should the app do?";
  at("idea").placeholder = "A run tracker that saves my runs and shows my pace";
  at("send").textContent = "Build it";
  at("hint").textContent = "A database, mail, analytics and a repository come first.";
  at("door").textContent = "";
  working(false);
  problem(null);
  preview(null);
  list();
  at("idea").focus();
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const idea = at("idea").value.trim();
  problem(null);
  working(true);
  try {
    if (current) {
      await ask("POST", `/api/sessions/${current.slug}/runs`, { key: current.key, body: { idea } });
    } else {
      const made = await ask("POST", "/api/sessions", { body: { idea } });
      const session = { slug: made.slug, key: made.session_key, idea };
      sessions.keep(session);
      show(session);
    }
    at("idea").value = "";
  } catch (error) {
    working(false);
    problem(error instanceof Refused ? error.message : "The server does not answer. Is it running?");
  }
});

at("idea").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) at("form").requestSubmit();
});

at("fresh").addEventListener("click", reset);

at("reveal").addEventListener("click", async () => {
  try {
    const values = await ask("POST", `/api/sessions/${current.slug}/env/reveal`, { key: current.key });
    at("names").replaceChildren(...Object.entries(values).flatMap(([name, value]) => pair(name, value)));
  } catch (error) {
    problem(error.message);
  }
});

list();
awaitStack();
