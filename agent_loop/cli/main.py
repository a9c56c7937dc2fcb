"""Reads the command line and runs one command; every error ends as one sentence and an exit code."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from importlib import import_module
from typing import TYPE_CHECKING

from agent_loop.cli.context import Context, port_of
from agent_loop.cli.screen import streams
from server import __version__
from server.errors import BadInput, Mk0rError
from server.local.home import Home

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# command: (module, function, what it does)
COMMANDS = {
    "build": ("build", "build", "make an app from an idea, or ask a session for more"),
    "serve": ("serve", "serve", "run the server in front: the page at /, MCP at /mcp"),
    "mcp": ("bridge", "mcp", "MCP over stdio, for Claude and other clients"),
    "sessions": ("commands", "sessions", "list the sessions"),
    "show": ("commands", "show", "one session: its services, preview and repository"),
    "env": ("commands", "env", "the names in a session's /app/.env, with fingerprints"),
    "logs": ("build", "logs", "a session's story, followed while it goes on"),
    "open": ("commands", "open_preview", "open a session's preview in the browser"),
    "psql": ("psql", "psql", "psql in a session's own database"),
    "provision": ("provision", "provision", "make the services a session lacks, and only those"),
    "resume": ("build", "resume", "wake a session, ask again for what failed, go on with its run"),
    "destroy": ("commands", "destroy", "remove a session and everything it made"),
    "reap": ("reap", "reap", "find what no session claims and sessions nobody uses; remove them with --apply"),
    "doctor": ("commands", "doctor", "what is configured, what is missing and how to get it"),
    "image": ("image", "image", "with `build`: make E2B's image of the VM (not yet run against E2B itself)"),
    "twins": ("commands", "twins", "the local vendors, and how to point an SDK at them"),
    "bench": ("bench", "bench", "what everything costs here, measured in homes of its own"),
    "down": ("commands", "down", "stop the server and the local stack"),
}
OF_ONE_SESSION = ("show", "env", "logs", "open", "psql", "provision", "resume", "destroy")


def run(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run a command; the exit code."""
    environ = os.environ if environ is None else environ
    screen, errors = streams(environ)
    asked = parser().parse_args(arguments)
    try:
        port = port_of(getattr(asked, "port", None) or environ.get("MK0R_PORT"))
        context = Context(Home.from_environment(environ), environ, screen, errors, port)
        module, function, _ = COMMANDS[asked.command]
        return getattr(import_module(f"agent_loop.cli.{module}"), function)(asked, context)
    except Mk0rError as error:
        errors.line(f"mk0r: {error}")
        return 2 if isinstance(error, BadInput) else 1
    except BrokenPipeError:
        # Whoever read us has gone. The interpreter's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        errors.line(f"mk0r: {error.filename or 'this machine'}: {error.strerror or error}.")
        return 1
    except KeyboardInterrupt:
        errors.line("\nInterrupted. What runs in the background goes on; `mk0r down` stops it.")
        return 130


def parser() -> ArgumentParser:
    top = ArgumentParser(prog="mk0r", description="An app maker whose backend exists before the agent writes a line.")
    top.add_argument("--version", action="version", version=f"mk0r {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, _, says) in COMMANDS.items():
        command = commands.add_parser(name, help=says, description=says)
        if name != "psql":
            command.add_argument("--json", action="store_true", help="print JSON")
        if name in OF_ONE_SESSION:
            command.add_argument("slug", metavar="SLUG", type=_slug)
        if name not in ("mcp", "image", "bench", "down", "doctor", "psql"):
            command.add_argument("--port", help="the server's port (default 3000; MK0R_PORT)")
        _ADD.get(name, _nothing)(command)
    return top


def _build(command: ArgumentParser) -> None:
    command.add_argument("idea", metavar="IDEA")
    command.add_argument("--session", metavar="SLUG", type=_slug, help="another turn on this session")
    command.add_argument("--model", help="the model's id")
    command.add_argument("--budget-usd", type=float, metavar="N", help="stop before spending more than this")
    command.add_argument("--services", metavar="A,B", help="database,mail,analytics,git, or none (default: all)")
    command.add_argument(
        "--lazy",
        dest="services",
        action="store_const",
        const="none",
        help="none now; `mk0r provision` makes them later",
    )


def _serve(command: ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="the address to listen at (default 127.0.0.1)")


def _logs(command: ArgumentParser) -> None:
    command.add_argument("--follow", action="store_true", help="stay for the session's next runs")


def _provision(command: ArgumentParser) -> None:
    command.add_argument(
        "--service",
        action="append",
        metavar="NAME",
        help="database, mail, analytics, git or vm; may be given again (default: all that are missing)",
    )


def _reap(command: ArgumentParser) -> None:
    command.add_argument("--apply", action="store_true", help="remove what was found; without it nothing is touched")


def _bench(command: ArgumentParser) -> None:
    parts = "waiting, calls, legs, saturation, claim, durability, growth"
    command.add_argument("--only", metavar="A,B", help=f"only these of {parts} (default: all)")
    command.add_argument("--rounds", type=_at_least_1, default=3, metavar="N", help="how often each (default 3)")
    command.add_argument("--full", action="store_true", help="growth to 10,000 sessions: a quarter of an hour")
    command.add_argument("--few", action="store_true", help="as little as shows that it works")
    command.add_argument("--out", metavar="FILE", help="write every sample to this file as JSON")
    command.add_argument("--draw", metavar="FILE", help="measure nothing: draw the growth in this file as SVG")
    command.add_argument("--svg", metavar="FILE", help="where to draw it (default: standard output)")


def _image(command: ArgumentParser) -> None:
    command.add_argument("verb", metavar="build", choices=("build",))
    command.add_argument("--name", metavar="NAME", help="instead of the image sessions use (MK0R_E2B_TEMPLATE, mk0r)")


def _psql(command: ArgumentParser) -> None:
    command.add_argument("arguments", nargs=REMAINDER, metavar="ARGUMENT", help="handed to psql")


def _nothing(command: Namespace | ArgumentParser) -> None:
    """This command has no arguments of its own."""


_ADD = {
    "bench": _bench,
    "build": _build,
    "image": _image,
    "logs": _logs,
    "provision": _provision,
    "psql": _psql,
    "reap": _reap,
    "serve": _serve,
}


def _at_least_1(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)


def _slug(text: str) -> str:
    """A slug, or an app id that holds one. A slash or a space must not reach a URL."""
    slug = text.strip().removeprefix("mk0r-").lower()
    if not slug.isalnum() or not slug.isascii():
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a session's slug; `mk0r sessions` lists them")
    return slug
