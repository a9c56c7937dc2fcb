// What each event of a session changes on the page.

import * as ideas from "./ideas.js";
import * as phone from "./phone.js";
import * as run from "./run.js";
import * as services from "./services.js";
import * as sessions from "./sessions.js";
import * as story from "./story.js";
import { ask } from "./stream.js";
import { at, heading, spent } from "./words.js";

export function tell({ type, data }, session) {
  // A run that was stopped may have had something under way in another process.
  if (data.run && session.over.has(data.run)) return;
  TELLERS[type]?.(data, session);
}

const TELLERS = {
  "session.created": ({ ahead }) => ahead && story.say("Made ahead; it was waiting", "on"),
  provisioning: services.asked,
  queued: ({ place }) => story.say(`Many ask at once: this one is number ${place} in line`),
  "leg.queued": ({ vendor, seconds }) => story.say(`${vendor} is asked in turn: ours comes in ${spent(seconds * 1000)}`),
  "leg.finished": (data, session) => {
    const trouble = services.lit(data);
    if (trouble) story.say(trouble, "failed", data.ms);
    if (data.leg === "vm") session.machine = data.outcome !== "failed";
    if (!session.machine) phone.say("There is no machine to run the app in.");
  },
  "vm.lost": () => {
    story.say("The machine was gone for good; another is made from the repository", "failed");
    phone.say("Another machine is being made.");
  },
  "code.restored": ({ commit }) => story.say(`The code is as it was last pushed (${commit.slice(0, 8)})`, "on"),
  "packages.missing": () => story.say("npm install failed in the new machine; it wants running again", "failed"),
  "env.written": ({ names, ms }) => story.say(`${names.length} names written to /app/.env`, "on", ms),
  provisioned: (_, session) => places(session),
  "preview.ready": ({ url, ms }, session) => {
    phone.found(url);
    if (session.over.size && !session.built && !run.busy()) phone.say("Nothing was built.");
    else story.say("The app is up", "on", ms);
  },
  "run.requested": ({ at: when, idea, number }, session) => {
    run.working(when);
    phone.back();
    session.asked.push(idea);
    if (number > 1) story.say(`You asked: ${heading(idea)}`);
    // An app is called what it was first asked to be, once there is something of it.
    if (!session.built) {
      at("ask-title").textContent = heading(idea);
      sessions.rename(session.slug, idea);
    }
  },
  "run.started": ({ model }, session) => (session.model = model),
  "turn.started": ({ turn }, session) => {
    // A rehearsal says itself what it is.
    if (turn === 1 && session.model !== "rehearsal") story.say(`${session.model} is at work`);
  },
  text: ({ text }) => story.speak(text),
  "tool.started": (data, session) => {
    // Only what is under src can be seen.
    if (data.name === "write_files" && /\bsrc\//.test(data.summary)) session.drawing.add(data.id);
    story.began(data);
  },
  "tool.finished": (data, session) => {
    session.built ||= data.ok && session.drawing.has(data.id);
    story.ended(data);
  },
  check: story.checked,
  commit: story.committed,
  "run.finished": finished,
  "session.destroyed": (_, session) => {
    sessions.forget(session.slug);
    run.reset();
    phone.reset("This app was destroyed.");
    story.say("This app was destroyed");
  },
};

const ENDS = { done: "Done", stopped: "Stopped", failed: "Failed" };

function finished({ run: id, outcome, reason, code, ms }, session) {
  session.over.add(id);
  session.ended = { outcome, code, reason: reason ?? "", ms };
  story.settle();
  run.idle(session.built);
  const done = outcome === "done";
  const told = done ? ENDS.done : code === "declined" ? reason : `${ENDS[outcome]}. ${reason ?? ""}`;
  story.say(told, done ? "on" : "failed", ms || null);
  if (done) phone.again();
  else if (!session.built && session.machine) phone.say(code === "declined" ? "Nothing was built." : "Nothing to see yet.");
  places(session);
}

// Where the app is found, and then, when nothing is under way, what to do next.
async function places(session) {
  let told = {};
  try {
    told = await services.details(session);
  } catch (error) {
    if (error.name === "AbortError") return;
  }
  if (session.ended && !run.busy() && !session.leaving.signal.aborted) next(session, told);
}

function next(session, { preview_url: app, repository_url: code }) {
  const { outcome, code: why, reason, ms } = session.ended;
  const doors = session.built ? [app && run.door("Open the app", app), code && run.door("See the code", code)].filter(Boolean) : [];
  if (outcome === "done") {
    const words = `Done in ${spent(ms)}. Try it in the phone, and say above what should change.`;
    run.next(words, doors, ideas.following(session.asked), session.send);
  } else if (why === "declined" && session.model === "rehearsal") {
    const suggested = session.built ? ideas.following(session.asked) : ideas.first();
    run.next(`${reason}${suggested.length ? " It can play:" : ""}`, doors, suggested, session.send);
  } else {
    const again = run.button("Try again", () => ask("POST", `/api/sessions/${session.slug}/resume`, { key: session.key }));
    run.next(`${reason} What was made stays. Try again, or say above what you want.`.trim(), [again, ...doors], [], session.send);
  }
}
