"""`mk0r build`, `logs` and `resume`: send the request, show the stream, say how to come back."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from agent_loop import idea as ideas
from agent_loop.cli.client import Client, Event, Unreachable
from agent_loop.cli.screen import BOLD, CYAN, clean
from agent_loop.cli.story import Story

if TYPE_CHECKING:
    from argparse import Namespace

    from agent_loop.cli.context import Context

INTERRUPTED = 130


def build(asked: Namespace, context: Context) -> int:
    """One idea, from nothing to a preview; or another turn on a session."""
    began = time.monotonic()
    idea = ideas.checked(asked.idea)
    body = {"idea": idea, "model": asked.model, "budget_usd": asked.budget_usd}
    if asked.services is not None:
        body["services"] = [name for name in asked.services.split(",") if name] or ["none"]
    client = context.server()
    try:
        slug, after, key = _begin(client, asked.session, body, context)
    except KeyboardInterrupt:
        context.errors.line("\nInterrupted while asking. `mk0r sessions` shows whether the build has begun.")
        return INTERRUPTED
    try:
        story = _watch(asked, context, client, slug, after)
        session = context.server().get(f"/api/sessions/{slug}")
    except KeyboardInterrupt:
        return left(slug, context)
    wall_ms = round((time.monotonic() - began) * 1000)
    if asked.json:
        print(json.dumps(result(session, key, story.model, wall_ms) | {"outcome": story.outcome}))
    else:
        _summary(context, session, story, wall_ms, key)
    return 0 if story.outcome == "done" else 1


def _watch(asked: Namespace, context: Context, client: Client, slug: str, after: int) -> Story:
    """Show the build until its run ends."""
    if not asked.json:
        context.screen.line(f"{context.screen.paint('mk0r', BOLD)}  {clean(asked.idea.strip())[:100]}\n")
    story = Story(context.screen)
    follow(context, client, slug, after, story, as_json=asked.json)
    return story


def logs(asked: Namespace, context: Context) -> int:
    client = context.server()
    client.get(f"/api/sessions/{asked.slug}")
    story = Story(context.screen)
    try:
        follow(context, client, asked.slug, 0, story, as_json=asked.json, stay=asked.follow)
    except KeyboardInterrupt:
        return left(asked.slug, context)
    if story.reason and not asked.json:
        context.screen.line(f"  {clean(story.reason)}")
    return 0


def resume(asked: Namespace, context: Context) -> int:
    client = context.server()
    known = _last_seq(client, asked.slug)
    session = client.post(f"/api/sessions/{asked.slug}/resume")
    story = Story(context.screen)
    try:
        if session["run"]:
            follow(context, client, asked.slug, known, story, as_json=asked.json)
    except KeyboardInterrupt:
        return left(asked.slug, context)
    session = context.server().get(f"/api/sessions/{asked.slug}")
    if asked.json:
        print(json.dumps(session))
    else:
        _doors(context, session)
    return 1 if story.outcome in ("failed", "stopped") else 0


def follow(
    context: Context,
    client: Client,
    slug: str,
    after: int,
    story: Story,
    *,
    as_json: bool,
    stay: bool = False,
) -> None:
    """Show the session's events as they come; a server that restarts is found again and asked for the rest."""
    while True:
        try:
            for event in client.events(slug, after, follow=stay):
                after = event.seq
                _show(event, story, as_json=as_json)
        except Unreachable:
            context.errors.line("The server went away; looking for it.")
            client = context.server_again()
        else:
            return


def left(slug: str, context: Context) -> int:
    """The user went; nothing stops. Say how to come back."""
    context.screen.settle()
    context.errors.line(
        f"\nThe build goes on without this window.\n"
        f"  mk0r logs {slug}                     follow it again\n"
        f'  mk0r build --session {slug} "..."    ask for more when it has finished\n'
        f"  mk0r destroy {slug}                  end it and remove everything it made"
    )
    return INTERRUPTED


def result(session: dict[str, Any], key: str | None, model: str | None, wall_ms: int) -> dict[str, Any]:
    """The last line of `build --json`."""
    legs = [{name: leg[name] for name in ("name", "outcome", "ms", "env_names", "error")} for leg in session["legs"]]
    copied = ("slug", "app_id", "preview_url", "local_preview_url", "repository_url", "psql", "env_names")
    return {"session_key": key, **{name: session[name] for name in copied}} | {
        "legs": legs,
        "model": model,
        "wall_ms": wall_ms,
    }


def _begin(client: Client, session: str | None, body: dict[str, Any], context: Context) -> tuple[str, int, str | None]:
    """Send the idea. The slug, the sequence number to read from, and the key if this home holds it."""
    if session is not None:
        known = _last_seq(client, session)
        client.post(f"/api/sessions/{session}/runs", body)
        return session, known, context.keys.get(session)
    made = client.post("/api/sessions", body)
    context.keys.keep(made["slug"], made["session_key"], body["idea"])
    return made["slug"], 0, made["session_key"]


def _last_seq(client: Client, slug: str) -> int:
    return client.get(f"/api/sessions/{slug}")["last_seq"]


def _show(event: Event, story: Story, *, as_json: bool) -> None:
    if not as_json:
        story.tell(event)
        return
    if event.type == "run.started":
        story.model, story.outcome = event.data["model"], None
    elif event.type == "run.finished":
        story.outcome = event.data["outcome"]
    sys.stdout.write(json.dumps({"seq": event.seq, "type": event.type, **event.data}) + "\n")
    sys.stdout.flush()


def _summary(context: Context, session: dict[str, Any], story: Story, wall_ms: int, key: str | None) -> None:
    screen = context.screen
    screen.line()
    head = {"done": "Done", "stopped": "Stopped", "failed": "Failed"}.get(story.outcome or "", "Not finished")
    good = story.outcome == "done"
    why = f": {clean(story.reason)}" if story.reason else ""
    screen.line(f"{screen.mark(good)} {head} in {wall_ms / 1000:.1f} s{why}\n")
    _doors(context, session)
    if key:
        screen.line(f"  key         {key}  (kept in {context.home.keys_file})")
    if story.model == "rehearsal":
        screen.line("\n  This was the rehearsal, a script. Set ANTHROPIC_API_KEY to have a model build your idea.")


def _doors(context: Context, session: dict[str, Any]) -> None:
    """Where everything is, and what to type next."""
    screen, slug = context.screen, session["slug"]
    if session["preview_url"]:
        door = f"   or {session['local_preview_url']}" if session["local_preview_url"] else ""
        screen.line(f"  preview     {screen.paint(session['preview_url'], CYAN)}{door}")
    screen.line(f"  session     {slug}")
    if session["repository_url"]:
        screen.line(f"  repository  {session['repository_url']}")
    if any(leg["name"] == "database" and leg["outcome"] in ("made", "found") for leg in session["legs"]):
        screen.line(f"  database    mk0r psql {slug}")
    screen.line(f'  more        mk0r build --session {slug} "..."')
