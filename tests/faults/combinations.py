"""Every combination of services up and down, fast, slow and hung: each session has exactly what is there, and says so.

    python -m tests.faults.combinations [--seed S] [--count N] [--json]

All 32 combinations in three manners and both kinds of database. Then the services come back, the caller asks again,
and the session must be whole, with one of everything.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from server.app import open_core
from server.environment import Environment
from server.local.home import Home
from server.local.stack import settings_from
from server.secrets import Secret
from server.settings import LEGS, VENDOR_OF, LegName, Settings
from server.vm.checkout import Checkout
from server.vm.repository import Repositories
from tests.faults.long_run import Run, command
from tests.faults.stage import Stage, stage
from tests.faults.stores import STORES
from tests.faults.verdict import Verdict

if TYPE_CHECKING:
    import argparse

    from server.app import Core
    from server.books.record import Session

Manner = Literal["fast", "slow", "hung"]
MANNERS: tuple[Manner, ...] = ("fast", "slow", "hung")
NAMES: dict[LegName, list[str]] = {
    "database": ["DATABASE_URL", "NEON_HOST", "NEON_ROLE_NAME", "NEON_ROLE_PASSWORD", "NEON_PROJECT_ID"],
    "mail": ["RESEND_API_KEY", "RESEND_AUDIENCE_ID", "RESEND_FROM", "MK0R_CONTACTS_URL", "MK0R_CONTACTS_TOKEN"],
    "analytics": ["VITE_POSTHOG_KEY", "VITE_POSTHOG_HOST", "VITE_POSTHOG_APP_ID"],
    "git": ["GITHUB_REPO", "GITHUB_REPO_URL"],
    "vm": ["MK0R_JOBS_TOKEN"],
}
BUDGET_SECONDS = 4.0
PATIENT_SECONDS = 20.0  # no budget in the way of what fails by itself
LATE_SECONDS = 10.0  # what a budget may be overdrawn on a machine that does other things too
DOWN: list[dict[str, Any]] = [
    {"status": 401},
    {"status": 500},
    {"status": 503, "headers": {"retry-after": "60"}},
    {"status": 200, "body": "<html>soon</html>"},
    {"status": 500, "done": True},
    {"reset": True},
    {"lose_answer": True},
    {"truncate": 20},
]
HUNG: list[dict[str, Any]] = [
    {"hang": "headers"},
    {"hang": "body"},
    {"hang": "connect", "seconds": BUDGET_SECONDS + 1},
]


@dataclass(frozen=True)
class Case:
    """Who is down, and how the world is."""

    down: tuple[LegName, ...]
    manner: Manner
    store: str
    seed: int

    @property
    def up(self) -> list[LegName]:
        return [name for name in LEGS if name not in self.down]

    @property
    def live_names(self) -> list[str]:
        return [variable for name in self.up for variable in NAMES[name]]

    def faults(self) -> dict[str, dict[str, Any]]:
        """By vendor. Analytics is down when nobody configured it: it has nothing to call."""
        random = Random(self.seed)
        found = {VENDOR_OF[name]: dict(random.choice(HUNG if self.manner == "hung" else DOWN)) for name in self.down}
        if found.get("e2b", {}).get("hang") == "connect":
            found["e2b"] = {"hang": True}  # its SDK keeps its connections from one session to the next
        if self.manner == "slow":
            slow = {"delay_ms": 100, "jitter_ms": 400, "seed": self.seed}
            found = {vendor: found.get(vendor, {}) | slow for vendor in VENDOR_OF.values()}
        found.pop("posthog", None)
        return found


def cases(seed: int) -> list[Case]:
    """All of them. The seed chooses how each that is down is down."""
    random = Random(seed)
    subsets = [down for size in range(len(LEGS) + 1) for down in combinations(LEGS, size)]
    return [
        Case(down, manner, store, random.randrange(2**32)) for down in subsets for manner in MANNERS for store in STORES
    ]


async def check(case: Case, on: Stage) -> None:
    """Raises `AssertionError` when a session has, says or leaves anything else than it should."""
    folder = on.new_folder()
    url, hosted = on.new_store(case.store, folder)
    async with Verdict.over(on.stack.facts, url) as verdict:
        verdict.books.sessions.open(verdict.key)
        try:
            settings = _settings(case, on, hosted, verdict.secret_key)
            async with open_core(settings, Home(folder)) as core:
                for vendor, fault in case.faults().items():
                    await on.stack.fault(vendor, **fault)
                seconds = await _provision(core, verdict)
                await on.stack.heal()
                await _is_as_it_says(case, verdict, core, seconds)
            whole = settings.model_copy(update={"posthog_key": "phc_x", "leg_budget_seconds": PATIENT_SECONDS})
            async with open_core(whole, Home(folder)) as core:
                await _provision(core, verdict)
            await verdict.one_of_each(LEGS)
        finally:
            await on.stack.heal()
            await verdict.clean_up()


def _settings(case: Case, on: Stage, hosted: str | None, secret_key: str) -> Settings:
    changes: dict[str, Any] = {
        "leg_budget_seconds": BUDGET_SECONDS if case.manner == "hung" else PATIENT_SECONDS,
        "database_url": Secret(hosted) if hosted else None,
        "secret_key": Secret(secret_key),
        "public_url": "http://localhost:1",
        "posthog_key": None if "analytics" in case.down else "phc_x",
        **dict.fromkeys(("limit_neon", "limit_resend", "limit_github", "limit_e2b"), "0"),
    }
    return Settings().with_local(settings_from(on.stack.facts)).model_copy(update=changes)


async def _provision(core: Core, verdict: Verdict) -> float:
    """Ask for everything; the seconds until there was an outcome."""
    core.durable.launch()
    began = time.monotonic()
    await core.provisioner.start(verdict.key.slug, LEGS)
    await core.provisioner.wait(verdict.key.slug, 60)
    return time.monotonic() - began


async def _is_as_it_says(case: Case, verdict: Verdict, core: Core, seconds: float) -> None:
    session = verdict.session
    assert session.state == ("ready" if not case.down else "partial" if case.up else "failed"), session
    assert [leg.name for leg in session.legs if leg.stands] == case.up, session
    assert session.env_names == case.live_names, session
    for name in case.down:
        _is_named(session, name, hung=case.manner == "hung" and name != "analytics")
    if case.manner == "hung":
        assert seconds < BUDGET_SECONDS + LATE_SECONDS, f"it took {seconds:.1f} s"
    if "vm" in case.up:
        assert session.sandbox_id
        written = await core.sandboxes.run(session.sandbox_id, "cat .env; stat -c %a .env; ls -a | grep -F .env.")
        *lines, mode = written.stdout.splitlines()
        assert [line.partition("=")[0] for line in lines] == case.live_names
        assert mode == "600"
    else:
        assert session.sandbox_id is None
        checkout = Checkout(verdict.sandboxes, Repositories("", None))
        would_be_written = Environment(verdict.books, verdict.sandboxes, checkout).values(session)
        assert [*would_be_written] == case.live_names


def _is_named(session: Session, name: LegName, *, hung: bool) -> None:
    leg = session.leg(name)
    assert leg.outcome == "failed", leg
    assert leg.error is not None, leg
    assert leg.error.next_action, leg
    told = leg.error.message.lower()
    assert VENDOR_OF[name] in told or name in told, leg
    assert leg.env_names == []
    if hung:
        assert leg.error.code == "timed_out", leg
        assert leg.ms is not None, leg
        assert BUDGET_SECONDS * 1000 - 1 <= leg.ms < (BUDGET_SECONDS + LATE_SECONDS) * 1000, leg


async def sweep(chosen: list[Case], on: Stage, run: Run) -> None:
    """One after the other: a vendor is down for everybody."""
    for done, case in enumerate(chosen, 1):
        try:
            await check(case, on)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is bad
            run.fail(f"{case}: {type(error).__name__}: {error}")
        run.progress(done, len(chosen))


async def work(run: Run, _asked: argparse.Namespace) -> None:
    chosen = cases(run.seed)
    if run.count < len(chosen):
        chosen = Random(run.seed).sample(chosen, run.count)
    async with stage() as on:
        await sweep(chosen, on, run)
    run.figures |= {"sessions": len(chosen), "combinations": len({(case.down, case.manner) for case in chosen})}


if __name__ == "__main__":
    sys.exit(command("combinations", __doc__, work, count=len(cases(1))))
