// The page: one idea in; the lights, what is happening, the app itself, and what to do next.

import * as ideas from "./ideas.js";
import * as phone from "./phone.js";
import * as run from "./run.js";
import * as services from "./services.js";
import * as sessions from "./sessions.js";
import * as story from "./story.js";
import { ask, events, Refused } from "./stream.js";
import { tell } from "./telling.js";
import { at, element, heading } from "./words.js";

let current = null; // the app that is shown: { slug, key, idea, leaving: AbortController, … }

// The stack: the page is there before it is.
async function awaitStack() {
  for (;;) {
    let told = null;
    try {
      told = await ask("GET", "/api/stack");
    } catch {
      at("stack").textContent = "The server does not answer.";
    }
    if (told) at("stack").textContent = told.error ? `${told.error.message} ${told.error.next_action}` : starting(told);
    at("send").disabled = !told?.ready || run.busy();
    if (told?.ready) return;
    await new Promise((done) => setTimeout(done, 250));
  }
}

function starting({ ready, steps }) {
  const now = steps.find((step) => step.state === "running");
  return ready ? "" : now ? `Starting: ${now.name}${now.detail ? `, ${now.detail}` : ""}` : "Starting";
}

// One app at a time is shown.
function show(session) {
  current?.leaving.abort();
  current = { ...session, leaving: new AbortController(), send: submit,
    machine: true, asked: [], drawing: new Set(), over: new Set(), built: false };
  for (const id of ["services", "story", "fresh"]) at(id).hidden = false;
  at("examples").hidden = true;
  story.clear();
  services.reset();
  run.reset();
  phone.reset("The machine is being made ready.");
  at("ask-title").textContent = heading(session.idea);
  at("idea").rows = 2;
  at("hint").textContent = "";
  list();
  const shown = current;
  follow(shown).catch((error) => {
    if (current !== shown || error.name === "AbortError") return;
    if (error instanceof Refused && error.status === 404) sessions.forget(session.slug);
    problem(error.message);
    list();
  });
}

// What has happened is told again, and then what happens; the app is loaded once, where the two meet.
async function follow(session) {
  const { signal } = session.leaving;
  const { last_seq: last } = await ask("GET", `/api/sessions/${session.slug}`, { key: session.key, signal });
  if (last) phone.replay();
  for await (const event of events(session.slug, session.key, signal)) {
    story.atTheEnd(() => tell(event, session));
    if (event.type === "run.requested" || event.type === "session.destroyed") list();
    if (event.seq === last) wake(session);
  }
}

// A machine nobody used sleeps, and may be gone for good: its app is shown once it answers.
async function wake({ slug, key, leaving: { signal } }) {
  const there = phone.shows();
  if (there) phone.say("The machine is waking up.");
  phone.present();
  if (!there) return;
  try {
    await ask("POST", `/api/sessions/${slug}/wake`, { key, signal });
    phone.back();
  } catch (error) {
    if (error.name === "AbortError") return;
    phone.say(error instanceof Refused ? error.message : "The server does not answer.");
  }
}

function list() {
  const mine = sessions.all();
  at("mine").hidden = mine.length === 0;
  at("sessions").replaceChildren(...mine.map((session) => {
    const item = document.createElement("li");
    const button = element("button", heading(session.idea), { type: "button" });
    button.setAttribute("aria-current", String(session.slug === current?.slug));
    button.addEventListener("click", () => show(session));
    item.append(button);
    return item;
  }));
}

function problem(text) {
  at("problem").hidden = !text;
  at("problem").textContent = text ?? "";
}

function reset() {
  current?.leaving.abort();
  current = null;
  for (const id of ["services", "story", "fresh"]) at(id).hidden = true;
  at("examples").hidden = ideas.first().length === 0;
  at("ask-title").textContent = "What should the app do?";
  at("idea").rows = 3;
  at("hint").textContent = "A database, mail, analytics and a repository come first.";
  services.reset();
  run.reset();
  problem(null);
  phone.reset("The app appears here.");
  list();
  at("idea").focus();
}

async function submit(idea) {
  problem(null);
  at("send").disabled = true;
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
    at("send").disabled = run.busy();
    problem(error instanceof Refused ? error.message : "The server does not answer. Is it running?");
  }
}

// Something about the app that is shown, whose refusal is told.
const act = (work) => async () => {
  try {
    await work(current);
  } catch (error) {
    problem(error.message);
  }
};

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  submit(at("idea").value.trim());
});

at("idea").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) at("form").requestSubmit();
});

at("fresh").addEventListener("click", reset);
at("reveal").addEventListener("click", act(services.reveal));
at("lights").addEventListener("click", ({ target }) => {
  if (target.value) act((session) => services.provision(session, target.value))();
});
at("stop").addEventListener("click", act(async ({ slug, key }) => {
  at("stop").disabled = true;
  await ask("POST", `/api/sessions/${slug}/stop`, { key });
}));

list();
await awaitStack();
await ideas.load(submit);
at("examples").hidden = current !== null || ideas.first().length === 0;
