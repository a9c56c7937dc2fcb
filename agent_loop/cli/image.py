"""`mk0r image build`: E2B's template of the image that every session's VM begins with."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from agent_loop.cli.screen import clean
from server.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from agent_loop.cli.context import Context
    from server.settings import Settings


def image(asked: Namespace, context: Context) -> int:
    """Build it, telling each line; 0 once sandboxes can begin as it."""
    from server.vm import build
    from server.vm.sandbox import Sandboxes

    settings = _settings(context, named=asked.name is not None)
    name = asked.name or settings.e2b_template

    def tell(level: str, line: str) -> None:
        if asked.json:
            print(json.dumps({"level": level, "line": line}), flush=True)
        elif level != "debug":
            context.screen.line(f"  {clean(line)}")

    built = asyncio.run(build.build(Sandboxes(settings), name, tell))
    if asked.json:
        print(json.dumps(built))
        return 0
    context.screen.line(f"\nE2B has the image {name} ({built['template_id']}). New VMs named so begin with it.")
    if name != settings.e2b_template:
        context.screen.line(f"To have sessions use it, set MK0R_E2B_TEMPLATE={name} and start the server again.")
    return 0


def _settings(context: Context, *, named: bool) -> Settings:
    """Whatever E2B is here; the local one makes the usual image by itself, so there only another name is built."""
    from server.local import facts, stack
    from server.settings import Settings

    settings = Settings()  # pyright: ignore[reportCallIssue] - filled from the environment
    if "e2b" not in settings.twins():
        return settings
    if not named:
        raise UserError(
            "There is no E2B_API_KEY here, and the local sandboxes make their image by themselves.",
            next_action="Set E2B_API_KEY to build it at E2B, or try the build here under another name: --name trial.",
        )
    context.server().get("/api/twins")  # which starts those that do not run
    found = facts.load(context.home.stack_file)
    return settings.with_local(stack.settings_from(found)) if found else settings
