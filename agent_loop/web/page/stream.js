// The API from the browser: the session's key goes in a header, never in an address.

export class Refused extends Error {
  constructor(status, error) {
    super([error?.message ?? `The server answered ${status}.`, error?.next_action].filter(Boolean).join(" "));
    this.status = status;
    this.code = error?.code;
  }
}

export async function ask(method, path, { key, body, signal } = {}) {
  const headers = { ...(key && { Authorization: `Bearer ${key}` }), ...(method !== "GET" && { "Content-Type": "application/json" }) };
  const answer = await fetch(path, { method, headers, body: method === "POST" ? JSON.stringify(body ?? {}) : undefined, signal });
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, told?.error);
  return told;
}

// Every event of a session, from the first; a broken stream is taken up where it broke.
export async function* events(slug, key, signal) {
  let after = 0;
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 10000)) {
    try {
      const headers = { Authorization: `Bearer ${key}`, "Last-Event-ID": String(after) };
      const answer = await fetch(`/api/sessions/${slug}/events?follow=1`, { headers, signal });
      if (answer.status === 404) throw new Refused(404, (await answer.json()).error);
      if (answer.ok) {
        for await (const event of parsed(answer.body)) {
          after = event.seq;
          wait = 500;
          yield event;
        }
      }
    } catch (error) {
      if (signal.aborted || error instanceof Refused) throw error;
    }
    await new Promise((done) => setTimeout(done, wait));
  }
}

async function* parsed(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
      if (fields.data) yield { seq: Number(fields.id), type: fields.event, data: JSON.parse(fields.data) };
    }
  }
}
