"""`mk0r reap`: what nobody claims, shown; removed only with `--apply`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agent_loop.cli.screen import BOLD, DIM, table

if TYPE_CHECKING:
    from argparse import Namespace

    from agent_loop.cli.context import Context
    from agent_loop.cli.screen import Screen

MOST_SHOWN = 20
SWEEP_SECONDS = 1800.0


def reap(asked: Namespace, context: Context) -> int:
    """One sweep over every vendor; 0 unless something that was to go could not be removed."""
    client = context.server()
    context.errors.moving("  reading every vendor's listing to its end ...")
    sweep = client.post("/api/reap", {"apply": asked.apply}, seconds=SWEEP_SECONDS)
    context.errors.settle()
    if asked.json:
        print(json.dumps(sweep))
    else:
        _print(sweep, context.screen, applied=asked.apply)
    return 1 if sweep["failed"] else 0


def _print(sweep: dict[str, Any], screen: Screen, *, applied: bool) -> None:
    orphans, abandoned, unrecorded = sweep["orphans"], sweep["abandoned"], sweep["unrecorded"]
    screen.line(f"Looked at {_count(sweep['seen'], 'thing')} under names of ours.")
    _list(
        screen, "Claimed by no session", [(o["app_id"], o["leg"], o["made_at"][:16].replace("T", " ")) for o in orphans]
    )
    _list(screen, "Unused for longer than they live", [(f"mk0r-{slug}",) for slug in abandoned])
    _list(screen, "Not in this server's books, so never touched", [(name,) for name in sorted(set(unrecorded))])
    if sweep["young"]:
        screen.line(screen.paint(f"{sweep['young']} more may still be in use by whoever made them just now.", DIM))
    if applied:
        screen.line(f"Removed {sweep['removed']}, ended {_count(sweep['ended'], 'session')}.")
        if sweep["failed"]:
            screen.line(f"Could not remove {len(sweep['failed'])}: run it again, or see `mk0r doctor`.")
        if sweep["left"]:
            screen.line(f"{sweep['left']} are left for the next sweep (MK0R_REAP_CAP).")
    elif orphans or abandoned:
        screen.line("Nothing was touched. `mk0r reap --apply` removes the first two kinds.")
    else:
        screen.line("Nothing to remove.")


def _list(screen: Screen, title: str, rows: list[tuple[str, ...]]) -> None:
    if not rows:
        return
    screen.line(screen.paint(f"\n{title} ({len(rows)})", BOLD))
    for line in table(rows[:MOST_SHOWN]):
        screen.line(f"  {line}")
    if len(rows) > MOST_SHOWN:
        screen.line(screen.paint(f"  and {len(rows) - MOST_SHOWN} more (--json lists all)", DIM))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
