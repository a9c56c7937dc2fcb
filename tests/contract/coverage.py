"""`python -m tests.contract.coverage`: writes docs/twins.md, where every endpoint of each vendor is said to be
implemented, partial or absent.

Implemented means that the twin has a route of this method and path. What such a route lacks stands in the twin's own
`coverage.py`, as do the endpoints where the vendor publishes no description and those served beside one.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import Mount, Route, WebSocketRoute

from server.local.facts import StackFacts, TwinFacts
from server.local.home import Home
from server.secrets import Secret
from server.twins.compose import compose
from server.twins.core.coverage import BESIDE
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


@cache
def served(vendor: str) -> frozenset[str]:
    """Every route of a twin as `GET /things/{}`: parameters without their names, one name for each, and neither what
    HTTP gives with a GET (HEAD) nor what browsers ask first (OPTIONS)."""
    return frozenset(route(vendor, name) for name in _routes(vendor) if not name.startswith(("HEAD ", "OPTIONS "))) | {
        name for name, done in connect_calls(vendor).items() if done
    }


def route(vendor: str, name: str) -> str:
    """A route's one name: without its parameters' names and the slash that may end it, under the first of its paths."""
    other_names: dict[str, str] = getattr(_told(vendor), "OTHER_NAMES", {})
    method, path = nameless(name).split(" ", 1)
    for other, first in other_names.items():
        if path == nameless(other) or path.startswith(nameless(other) + "/"):
            path = nameless(first) + path.removeprefix(nameless(other))
    return f"{method} {path.rstrip('/') or '/'}"


def _told(vendor: str) -> Any:
    return import_module(f"server.twins.{vendor}.coverage")


def connect_calls(vendor: str) -> dict[str, bool]:
    """The calls of envd's two services, which are no routes, and whether the twin has them."""
    if vendor != "e2b":
        return {}
    from e2b.envd.filesystem.filesystem_connect import Filesystem
    from e2b.envd.process.process_connect import Process

    from server.twins.e2b.filesystem import FilesystemService
    from server.twins.e2b.process_service import ProcessService

    found: dict[str, bool] = {}
    for described, ours in ((Process, ProcessService), (Filesystem, FilesystemService)):
        service = described.desc()
        for method in service.methods:
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
            found[f"POST /{service.type_name}/{method.name}"] = name in vars(ours)
    return found


def _routes(vendor: str) -> set[str]:
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
            yield f"WEBSOCKET {before}{route.path}"
        elif isinstance(route, Route) and route.include_in_schema:
            yield from (f"{method} {before}{route.path}" for method in route.methods or ("GET",))


def nameless(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)


def endpoints(vendor: str) -> list[Endpoint]:
    """Every endpoint of the vendor, as its description or its SDKs name it."""
    names: Iterable[str] = description(vendor).names if vendor in DESCRIBED else _told(vendor).ENDPOINTS
    found, missing = list[Endpoint](), partial(vendor)
    for name in sorted({*names, *connect_calls(vendor)}, key=lambda name: (name.split(" ", 1)[1], name)):
        state = "absent"
        if described(vendor, name) in served(vendor):
            state = "partial" if name in missing else "implemented"
        found.append(Endpoint(name, state, missing.get(name, "")))
    return found


def described(vendor: str, name: str) -> str:
    """The route that answers a described endpoint, if there is one: descriptions leave the common prefix out."""
    method, path = name.split(" ", 1)
    return route(vendor, f"{method} {VENDORS[vendor]}{path}")


def partial(vendor: str) -> dict[str, str]:
    """What is missing, by endpoint."""
    return _told(vendor).PARTIAL


def beside(vendor: str) -> dict[str, str]:
    """What the twin serves and no description names, and what it is."""
    return _told(vendor).BESIDE


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
        there = [each for each in all_of_it if each.state != "absent"]
        states = {each.name: f"{each.state}: {each.missing}" if each.missing else each.state for each in there}
        absent = [each.name for each in all_of_it if each.state == "absent"]
        lines += ["", f"## {vendor}", "", *_table("endpoint", "state", states)]
        lines += ["", "Served beside these:", "", *_table("route", "what it is", beside(vendor))]
        lines += ["", f"<details><summary>{len(absent)} absent</summary>", "", "```", *absent, "```", "", "</details>"]
    lines += ["", "## every twin", "", "Its own doors. The admin token of `mk0r twins` opens them.", ""]
    lines += _table("route", "what it is", BESIDE)
    return "\n".join(lines) + "\n"


def _table(key: str, value: str, rows: dict[str, str]) -> list[str]:
    return [f"| {key} | {value} |", "|---|---|", *(f"| `{name}` | {told} |" for name, told in rows.items())]


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)  # noqa: T201 - a command
