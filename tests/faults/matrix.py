"""Every hostile answer and every network fault, at every vendor call: each ends typed, in time, without an echo.

python -m tests.faults.matrix [--sample N] [--seed S] [--calls PREFIX] [--at-once K]
"""

# pyright: reportPrivateUsage=false
# (a test may look inside)

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import httpx

from server import parts
from server.errors import LegError
from server.legs import Intent
from server.legs.deadline import within
from server.legs.github import GitHubLeg
from server.legs.neon import NeonLeg
from server.legs.resend import ResendLeg
from server.legs.retry import Retries
from server.legs.vendor import LARGEST_BODY, Vendor
from server.secrets import Secret
from server.settings import Settings
from server.vm.leg import VmLeg
from server.vm.sandbox import Sandboxes
from tests.faults.hostile import ANSWERS, NETWORK, SAID, hostile, refusing_port, silent_port
from tests.faults.long_run import at_most

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.hostile import Hostile

APP = "mk0r-abcdefghijkl"
BUDGET = 1.5
SLACK = 3.0  # what a machine adds that runs the rest of the suite beside this
FASTER = 20  # pauses between tries are cut to a twentieth
NO_SERVER = ("refuses", "does not take the connection")
NEW, OLD = Intent(APP, attempt=1), Intent(APP, attempt=2, look=True)
CODES = {
    "bad_answer", "busy", "credential_refused", "forbidden", "incomplete_listing", "name_taken",
    "no_image", "quota", "rate_limited", "rejected", "timed_out", "unreachable", "vendor_failed", "vm_gone", "vm_write",
}  # fmt: skip

_PROJECT = {"id": "p-1", "name": APP, "created_at": "2026-11-23T10:00:00Z"}
_URI = "postgresql://me:secret@ep.test/neondb"
_ITEM = {"created_at": "2026-11-23 10:00:00.5+00"}
_REPOSITORY = {
    "name": APP,
    "full_name": f"mk0r/{APP}",
    "html_url": "https://github.test/x",
    "private": True,
    "created_at": "2026-11-23T10:00:00Z",
    "description": f"Built with mk0r · {APP}",
}
_SANDBOX = {
    "templateID": "mk0r",
    "sandboxID": "sbx",
    "clientID": "c",
    "envdVersion": "0.6.2",
    "envdAccessToken": "t",
    "domain": "localhost",
    "startedAt": "2026-11-23T10:00:00Z",
    "endAt": "2026-11-23T11:00:00Z",
    "cpuCount": 2,
    "memoryMB": 512,
    "diskSizeMB": 512,
    "state": "running",
    "metadata": {"app": APP},
}
HEALTHY: dict[str, tuple[int, Any]] = {
    "POST /projects": (
        201,
        {
            "project": _PROJECT,
            "connection_uris": [{"connection_uri": _URI}],
            "operations": [{"id": "op", "status": "running"}],
        },
    ),
    "GET /projects": (200, {"projects": [_PROJECT]}),
    "GET /projects/p-1/operations": (200, {"operations": [{"id": "op", "status": "finished"}]}),
    "GET /projects/p-1/branches": (200, {"branches": [{"id": "br", "default": True}]}),
    "GET /projects/p-1/branches/br/databases": (200, {"databases": [{"name": "neondb", "owner_name": "me"}]}),
    "GET /projects/p-1/connection_uri": (200, {"uri": _URI}),
    "DELETE /projects/p-1": (200, {}),
    "POST /segments": (201, {"id": "s-1"}),
    "GET /segments": (200, {"data": [{"id": "s-1", "name": f"{APP} Users", **_ITEM}], "has_more": False}),
    "POST /api-keys": (201, {"id": "k-1", "token": "re_x"}),
    "GET /api-keys": (200, {"data": [{"id": "k-1", "name": APP, **_ITEM}], "has_more": False}),
    "DELETE /(api-keys|segments)/.*": (200, {}),
    "POST /contacts": (201, {"id": "c-1"}),
    "GET /user": (200, {"login": "mk0r"}),
    "POST /user/repos": (201, _REPOSITORY),
    f"GET /repos/mk0r/{APP}": (200, _REPOSITORY),
    f"DELETE /repos/mk0r/{APP}": (204, {}),
    "GET /user/repos": (200, []),
    "POST /v2/sandboxes": (201, _SANDBOX),
    "GET /v2/sandboxes": (200, [_SANDBOX]),
    "POST /v2/sandboxes/sbx/connect": (200, _SANDBOX),
    "DELETE /sandboxes/sbx": (204, {}),
}


@dataclass(frozen=True)
class Legs:
    """Everything that calls a vendor, at one base URL."""

    neon: NeonLeg
    resend: ResendLeg
    github: GitHubLeg
    vm: VmLeg
    sandboxes: Sandboxes
    mail: Vendor


async def _all(listing: Any) -> None:
    async for _ in listing:
        pass


CALLS: dict[str, tuple[str, Callable[[Legs], Awaitable[object]]]] = {
    "neon create": ("POST /projects", lambda legs: legs.neon.make(NEW)),
    "neon operation": ("GET /projects/p-1/operations", lambda legs: legs.neon.make(NEW)),
    "neon list": ("GET /projects", lambda legs: legs.neon.find(OLD)),
    "neon operations": ("GET /projects/p-1/operations", lambda legs: legs.neon.find(OLD)),
    "neon branches": ("GET /projects/p-1/branches", lambda legs: legs.neon.find(OLD)),
    "neon databases": ("GET /projects/p-1/branches/br/databases", lambda legs: legs.neon.find(OLD)),
    "neon uri": ("GET /projects/p-1/connection_uri", lambda legs: legs.neon.find(OLD)),
    "neon delete": ("DELETE /projects/p-1", lambda legs: legs.neon.remove(APP, {})),
    "resend segment": ("POST /segments", lambda legs: legs.resend.make(NEW)),
    "resend key": ("POST /api-keys", lambda legs: legs.resend.make(NEW)),
    "resend segments": ("GET /segments", lambda legs: legs.resend.find(OLD)),
    "resend keys": ("GET /api-keys", lambda legs: legs.resend.find(OLD)),
    "resend replace": ("DELETE /api-keys/k-1", lambda legs: legs.resend.find(OLD)),
    "resend delete": ("DELETE /segments/s-1", lambda legs: legs.resend.remove(APP, {})),
    "resend contact": ("POST /contacts", lambda legs: legs.mail.call("POST", "/contacts", {"email": "a@b.c"})),
    "github user": ("GET /user", lambda legs: legs.github.make(NEW)),
    "github create": ("POST /user/repos", lambda legs: legs.github.make(NEW)),
    "github look": (f"GET /repos/mk0r/{APP}", lambda legs: legs.github.find(OLD)),
    "github delete": (f"DELETE /repos/mk0r/{APP}", lambda legs: legs.github.remove(APP, {})),
    "github list": ("GET /user/repos", lambda legs: _all(legs.github.listed())),
    "e2b create": ("POST /v2/sandboxes", lambda legs: legs.vm.make(NEW)),
    "e2b list": ("GET /v2/sandboxes", lambda legs: legs.vm.find(OLD)),
    "e2b connect": ("POST /v2/sandboxes/sbx/connect", lambda legs: legs.vm.find(OLD)),
    "e2b kill": ("DELETE /sandboxes/sbx", lambda legs: legs.vm.remove(APP, {})),
    "e2b write": ("POST /files", lambda legs: legs.sandboxes.write("sbx", {"/app/x": "y"})),
    "e2b read": ("GET /files", lambda legs: legs.sandboxes.read("sbx", "/app/x", most=2**20)),
    "e2b run": ("POST /process.Process/Start", lambda legs: legs.sandboxes.run("sbx", "true", seconds=1)),
}
FAULTS = [*ANSWERS, *NETWORK, *NO_SERVER]
TOO_MUCH = ("100 MB", "a bomb", "200 very deep")


@dataclass(frozen=True)
class Cell:
    call: str
    fault: str


# The E2B SDK reads and decodes an answer whole; nothing of ours can stop it half-way. Files we read in pieces.
HEAVY = {Cell(call, fault) for call in CALLS for fault in TOO_MUCH if call.startswith("e2b") and call != "e2b read"}


def cells() -> list[Cell]:
    return [Cell(call, fault) for call in CALLS for fault in FAULTS]


async def run(cell: Cell) -> str:
    """How the cell ended: a code of ours, or `done`. Raises `AssertionError` when it ended in any other way."""
    target, doing = CALLS[cell.call]
    act = {**ANSWERS, **NETWORK}.get(cell.fault)
    no_answer = silent_port() if cell.fault == NO_SERVER[1] else nullcontext(refusing_port())
    with no_answer as dead_port:
        async with hostile(target, act or NETWORK["hangs up"], HEALTHY) as server, httpx.AsyncClient() as http:
            legs = _legs(f"http://127.0.0.1:{dead_port}" if act is None else server.url, http)
            began = time.monotonic()
            ended = await _ended(doing(legs))
            _judge(cell, server, ended, time.monotonic() - began)
    return ended


async def _ended(doing: Awaitable[object]) -> str:
    try:
        async with within(BUDGET):
            await doing
    except LegError as error:
        caught = error
    except TimeoutError:
        return "timed_out"
    except FileNotFoundError:
        return "done"
    else:
        return "done"
    assert SAID not in f"{caught} {caught.code}", caught
    assert caught.next_action
    assert caught.code in CODES, caught.code
    return caught.code


def _judge(cell: Cell, server: Hostile, ended: str, seconds: float) -> None:
    assert seconds <= BUDGET + SLACK or cell in HEAVY, f"took {seconds:.1f} s"
    assert server.visits_elsewhere == 0, "followed a redirect"
    assert not [path for path in server.seen if ".." in path], server.seen
    hit = [seen for seen in server.seen if server.target.fullmatch(seen)]
    assert len(hit) <= 4, hit
    if cell.call in UNSAFE and cell.fault in AMBIGUOUS:
        sent_once = len(hit) == 1 or (not hit and ended == "timed_out")  # a busy machine may not come to it
        assert sent_once, f"a create that may have been done was sent {len(hit)} times"
    if not cell.call.startswith("e2b"):
        assert server.sent_bytes <= 4 * (LARGEST_BODY + 8 * 2**20), f"took {server.sent_bytes} bytes"
    if cell.fault not in HARMLESS and not cell.call.startswith("e2b"):
        assert ended != "done", "taken for an answer"


UNSAFE = {"neon create", "resend segment", "resend key", "resend contact", "github create"}
AMBIGUOUS = {*NETWORK, "500", "502", "504", "200 with a page", "200 cut short", "100 MB", "408"}
# Where gone is as good as removed, absent is an answer, a name may be taken, or nothing is needed from the answer.
HARMLESS = {"404", "422", "200 with nothing", "200 with {}", "200 with null", "200 with a list",
            "200 with an id that climbs"}  # fmt: skip


def _legs(url: str, http: httpx.AsyncClient) -> Legs:
    key = Secret("key-of-the-operator")
    settings = Settings().model_copy(
        update={
            **{f"{vendor}_base_url": url for vendor in ("neon", "resend")},
            **{f"limit_{vendor}": "0" for vendor in ("neon", "resend", "github", "e2b")},
            "github_api_url": url,
            "github_owner": "mk0r",
            "github_token": key,
            "neon_api_key": key,
            "resend_api_key": key,
            "resend_from": "app@mk0r.test",
            "e2b_api_key": key,
            "e2b_api_url": url,
            "e2b_sandbox_url": url,
        }
    )
    engine: Any = None  # no limits, so no books
    speak = parts.vendors(settings, engine, http)
    for vendor in speak.values():
        vendor._retries = _retries()
    sandboxes = Sandboxes(settings)
    return Legs(
        NeonLeg(speak["database"], settings),
        ResendLeg(speak["mail"], settings),
        GitHubLeg(speak["git"], settings),
        VmLeg(settings, sandboxes, retries=_retries()),
        sandboxes,
        speak["mail"],
    )


def _retries() -> Retries:
    return Retries(Random(1), sleep=lambda seconds: asyncio.sleep(seconds / FASTER))


async def matrix(chosen: list[Cell], *, at_once: int) -> list[tuple[Cell, str]]:
    """Run them, what keeps the whole process busy apart from the rest; what was wrong."""
    bad: list[tuple[Cell, str]] = []

    async def one(cell: Cell) -> None:
        try:
            await run(cell)
        except Exception as error:  # noqa: BLE001 - any other end is what is looked for
            bad.append((cell, f"{type(error).__name__}: {error}"[:500]))

    await at_most(at_once, one, [cell for cell in chosen if cell not in HEAVY])
    for cell in chosen:
        if cell in HEAVY:
            await one(cell)
    return bad


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", default="")
    parser.add_argument("--at-once", type=int, default=20)
    asked = parser.parse_args()
    chosen = [cell for cell in cells() if cell.call.startswith(asked.calls)]
    if asked.sample:
        chosen = Random(asked.seed).sample(chosen, min(asked.sample, len(chosen)))
    logging.disable(logging.WARNING)
    began = time.monotonic()
    bad = await matrix(chosen, at_once=asked.at_once)
    for cell, why in bad:
        print(f"{cell}\n  {why}")  # noqa: T201
    faults, calls = len({cell.fault for cell in chosen}), len({cell.call for cell in chosen})
    print(f"{faults} faults at {calls} calls, {time.monotonic() - began:.0f} s, seed {asked.seed}")  # noqa: T201
    print(f"{len(chosen) - len(bad)} passed, {len(bad)} failed")  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
