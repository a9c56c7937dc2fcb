"""`python -m tests.contract.coverage`: writes docs/twins.md, where every endpoint of each vendor is said to be
implemented, partial or absent.

Implemented means that the twin has a route of this method and path; what such a route lacks stands in the twin's
own `coverage.py`, as does the list of endpoints where the vendor publishes no description.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import Mount, Route, WebSocketRoute

from server.local.facts import StackFacts, TwinFacts
from server.local.home import Home
from server.secrets import Secret
from server.twins.compose import compose
from tests.contract.descriptions import description

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PAGE = Path(__file__).parents[2] / "docs" / "twins.md"
VENDORS = {"neon": "/api/v2", "resend": "", "posthog": "", "github": "", "e2b": "", "anthropic": ""}
DESCRIBED = ("neon", "resend", "github", "e2b")


@dataclass(frozen=True)
class Endpoint:
    name: str
    state: str
    missing: str = ""


def routes(vendor: str) -> set[str]:
    """Every route of a twin as `GET /things/{}`, its parameters without their names."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        (home.postgres / "data").mkdir(parents=True)
        (home.postgres / "data" / "PG_VERSION").write_text("18\n")
        facts = StackFacts(1, Secret("-"), {vendor: TwinFacts(1, Secret("-" * 40), Secret("-"))})
        return {*_named(compose(home, facts)[vendor].routes, "")}


def _named(given: Sequence[Any], before: str) -> Iterator[str]:
    for route in given:
        if isinstance(route, Mount):
            yield from _named(route.routes, before + route.path)
        elif isinstance(route, WebSocketRoute):
            yield f"WEBSOCKET {nameless(before + route.path)}"
        elif isinstance(route, Route):
            yield from (f"{method} {nameless(before + route.path)}" for method in route.methods or ("GET",))


def nameless(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)


def endpoints(vendor: str) -> list[Endpoint]:
    """Every endpoint of the vendor, as its description or its SDKs name it."""
    told = import_module(f"server.twins.{vendor}.coverage")
    partial: dict[str, str] = told.PARTIAL
    have = routes(vendor)
    names: Iterable[str] = (
        [each.name for each in description(vendor).operations] if vendor in DESCRIBED else told.ENDPOINTS
    )
    found: list[Endpoint] = []
    for name in sorted({*names}, key=lambda name: (name.split(" ", 1)[1], name)):
        method, path = name.split(" ", 1)
        state = "absent"
        if f"{method} {nameless(VENDORS[vendor] + path)}" in have:
            state = "partial" if name in partial else "implemented"
        found.append(Endpoint(name, state, partial.get(name, "")))
    return found


def page() -> str:
    """The whole page."""
    lines = [
        "# What the twins implement",
        "",
        "Written by `python -m tests.contract.coverage`; a test holds it to the code. *Implemented* is a route that",
        "does what its vendor's does, for what the contract tests and the twin's own tests ask of it; *partial* says",
        "what is missing; *absent* is answered as the vendor answers an unknown path. Where a vendor publishes no",
        "description, the list is of what its SDKs call. No twin was compared with its live vendor yet.",
        "",
        "| twin | described by | implemented | partial | absent |",
        "|---|---|---|---|---|",
    ]
    found = {vendor: endpoints(vendor) for vendor in VENDORS}
    for vendor, all_of_it in found.items():
        counts = [sum(each.state == state for each in all_of_it) for state in ("implemented", "partial", "absent")]
        source = description(vendor).title if vendor in DESCRIBED else "what its SDKs call"
        lines.append(f"| [{vendor}](#{vendor}) | {source} | {' | '.join(map(str, counts))} |")
    for vendor, all_of_it in found.items():
        lines += ["", f"## {vendor}", "", "| endpoint | state |", "|---|---|"]
        for each in all_of_it:
            lines.append(f"| `{each.name}` | {each.state}{': ' + each.missing if each.state == 'partial' else ''} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)  # noqa: T201 - a command
