"""The small commands: one request each, printed for a person or as JSON."""

from __future__ import annotations

import json
from shlex import quote
from typing import TYPE_CHECKING, Any

from agent_loop.cli import server_process
from agent_loop.cli.client import ApiError, Unreachable
from agent_loop.cli.screen import BOLD, DIM, clean, table
from server.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from agent_loop.cli.context import Context


def sessions(asked: Namespace, context: Context) -> int:
    told = context.server().get("/api/sessions")
    found = told["sessions"]
    if asked.json:
        print(json.dumps(told))
    elif not found:
        context.screen.line('No sessions yet. Begin one: mk0r build "a run tracker that saves my runs"')
    else:
        head = ("SLUG", "STATE", "CREATED", "IDEA")
        rows = [(s["slug"], s["state"], s["created_at"][:16].replace("T", " "), _short(s["idea"])) for s in found]
        for line in table([head, *rows]):
            context.screen.line(line)
        if told["more"]:
            context.screen.line(f"and {told['more']:,} older ones; `mk0r show SLUG` shows any of them.")
    return 0


def show(asked: Namespace, context: Context) -> int:
    session = context.server().get(f"/api/sessions/{asked.slug}")
    if asked.json:
        print(json.dumps(session))
        return 0
    screen = context.screen
    screen.line(f"{screen.paint(session['slug'], BOLD)}  {session['state']}  {_short(session['idea'])}\n")
    for leg in session["legs"]:
        lit = {"made": True, "found": True, "failed": False}.get(leg["outcome"])
        screen.line(
            f"  {screen.mark(lit)} {leg['name']:<10} {leg['outcome']:<8} {', '.join(leg['env_names'])}".rstrip()
        )
        if leg["error"]:
            screen.line(f"    {clean(leg['error']['message'])} {clean(leg['error']['next_action'])}")
    if any(leg["outcome"] == "failed" for leg in session["legs"]):
        screen.line(f"\n  What failed can be made later, with everything else kept: mk0r provision {session['slug']}")
    screen.line()
    for name, value in (
        ("preview", session["preview_url"]),
        ("", session["local_preview_url"]),
        ("repository", session["repository_url"]),
        ("database", session["psql"] if "DATABASE_URL" in session["env_names"] else None),
    ):
        if value:
            screen.line(f"  {name:<11} {value}")
    return 0


def env(asked: Namespace, context: Context) -> int:
    """Names, never values: those are in the VM, and `mk0r psql` uses one without showing it."""
    names = context.server().get(f"/api/sessions/{asked.slug}/env")["env"]
    if asked.json:
        print(json.dumps({"slug": asked.slug, "env": names}))
        return 0
    if not names:
        context.screen.line("This session has no names in /app/.env yet.")
    for line in table([(n["name"], n["leg"], n["fingerprint"]) for n in names]):
        context.screen.line(line)
    return 0


def open_preview(asked: Namespace, context: Context) -> int:
    session = context.server().get(f"/api/sessions/{asked.slug}")
    url = session["preview_url"]
    if not url:
        raise UserError("This session has no preview.", next_action=f"Try `mk0r resume {asked.slug}`.")
    opened = not asked.json and _browser(url, context)
    if asked.json:
        print(json.dumps({"preview_url": url, "local_preview_url": session["local_preview_url"]}))
    else:
        context.screen.line(url if not opened else f"Opened {url}")
        if session["local_preview_url"]:
            context.screen.line(session["local_preview_url"])
    return 0


def destroy(asked: Namespace, context: Context) -> int:
    answer = context.server().delete(f"/api/sessions/{asked.slug}")
    context.keys.forget(asked.slug)
    if asked.json:
        print(json.dumps(answer))
    else:
        context.screen.line(f"Destroyed {asked.slug}: its database, mail, repository and VM are gone.")
    return 0


def twins(asked: Namespace, context: Context) -> int:
    """Lines for a shell: `eval "$(mk0r twins)"` points every vendor's own SDK at its twin."""
    found: dict[str, Any] = context.server().get("/api/twins")["twins"]
    if asked.json:
        print(json.dumps(found))
        return 0
    for vendor, twin in found.items():
        context.screen.line(context.screen.paint(f"# {vendor}: {twin['base_url']}", BOLD))
        context.screen.line(f"# see what is in it: {twin['page']}")
        for name, value in twin["env"].items():
            context.screen.line(f"export {name}={quote(value)}")
    return 0


def doctor(asked: Namespace, context: Context) -> int:
    """What the running server sees; without one, what the next would."""
    running = context.running()
    try:
        found = running.get("/api/doctor") if running else None
    except (ApiError, Unreachable):
        found = None
    if found is None:
        from dataclasses import asdict

        from server.local import doctor as local

        found = asdict(local.examine(context.home, context.environ))
    found["server"] = running.url if running else None
    if asked.json:
        print(json.dumps(found))
    else:
        _print_doctor(found, context)
    return 0 if all(check["ok"] or not check["needed"] for check in found["checks"]) else 1


def down(asked: Namespace, context: Context) -> int:
    """Stop the server and the local stack. What runs is continued at the next start."""
    server = server_process.find(context.home)
    stopped = ["server"] if server else []
    if server:
        try:
            server_process.client_of(server).post("/api/down")
        except Unreachable:
            context.errors.line("The server does not answer; ending it.")
            server_process.stop(context.home, server)
        except ApiError:
            pass  # it is ending already, and has no token any more
        if not server_process.gone(context.home):
            server_process.stop(context.home, server)
    import asyncio

    from server.local import stack

    stopped += asyncio.run(stack.down(context.home))
    if asked.json:
        print(json.dumps({"stopped": stopped}))
    else:
        context.screen.line(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
    return 0


def _print_doctor(found: dict[str, Any], context: Context) -> None:
    screen = context.screen
    screen.line(screen.paint("Services", BOLD))
    for leg in found["legs"]:
        mode = "live" if leg["live"] else "local twin"
        screen.line(f"  {screen.mark(True)} {leg['name']:<10} {leg['vendor']:<10} {mode}")
        for note in leg["notes"]:
            screen.line(screen.paint(f"      {note}", DIM))
    screen.line(screen.paint("\nThis machine", BOLD))
    for check in found["checks"]:
        screen.line(
            f"  {screen.mark(check['ok'] or (None if not check['needed'] else False))} {check['name']}: {check['says']}"
        )
        if check["next_action"]:
            screen.line(f"      {check['next_action']}")
    screen.line(screen.paint("\nServer", BOLD))
    screen.line(f"  {found['server'] or 'not running; the next command starts it'}")
    if (pool := found.get("pool")) and pool["size"]:
        screen.line(f"  pool: {pool['ready']} of {pool['size']} sessions ready, {pool['making']} being made")


def _browser(url: str, context: Context) -> bool:
    """Open a graphical browser if this session has one; a text browser would take the terminal over."""
    import sys

    if context.environ.get("MK0R_NO_BROWSER"):
        return False
    if sys.platform != "darwin" and not (context.environ.get("DISPLAY") or context.environ.get("WAYLAND_DISPLAY")):
        return False
    import webbrowser

    return webbrowser.open(url)


def _short(idea: str, most: int = 60) -> str:
    line = " ".join(clean(idea).split())
    return line if len(line) <= most else line[: most - 1] + "…"
