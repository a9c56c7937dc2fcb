"""The vendors, their legs and the provisioner, put together."""

from __future__ import annotations

import time
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from server import __version__, limits
from server.attempt import Attempts
from server.books.turns import line_of
from server.contacts import Contacts
from server.crash import nowhere
from server.ending import Ending
from server.environment import Environment
from server.legs.github import GitHubLeg
from server.legs.neon import NeonLeg
from server.legs.posthog import PostHogLeg
from server.legs.resend import ResendLeg
from server.legs.retry import Retries
from server.legs.vendor import Dialect, Vendor
from server.pool import recipe
from server.pool.claims import Claims
from server.pool.entries import Entries
from server.pool.pool import Pool
from server.provision import Provisioner
from server.reaper import Reaper
from server.secrets import Secret
from server.vm.checkout import Checkout
from server.vm.leg import VmLeg

if TYPE_CHECKING:
    import httpx
    import sqlalchemy as sa

    from server.books.books import Books
    from server.crash import Crash
    from server.durable import Durable
    from server.legs import Leg
    from server.settings import LegName, Settings
    from server.vm.machines import Machines
    from server.vm.repository import Repositories
    from server.vm.sandbox import Sandboxes


def vendors(
    settings: Settings, engine: sa.Engine, http: httpx.AsyncClient, at: Crash = nowhere
) -> dict[LegName, Vendor]:
    """The three that speak plain JSON."""
    agent = {"User-Agent": f"mk0r/{__version__}"}
    github = {**agent, "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    nobody = Secret("")
    dialects: dict[LegName, Dialect] = {
        # Neon, "GeneralError": after 423 and 503 anything may be sent again.
        "database": Dialect(
            "Neon", settings.neon_base_url, settings.neon_api_key or nobody, agent, nothing_done=(423, 429, 503)
        ),
        "mail": Dialect(
            "Resend",
            settings.resend_base_url,
            settings.resend_api_key or nobody,
            agent,
            key_hint="Resend's must have full access: one that only sends can make no audience and add no contacts.",
        ),
        # GitHub, "Rate limits": what is scarce is creating content.
        "git": Dialect("GitHub", settings.github_api_url, settings.github_token or nobody, github, limited=("POST",)),
    }
    allowed = {"database": settings.limit_neon, "mail": settings.limit_resend, "git": settings.limit_github}

    def vendor(leg: LegName, dialect: Dialect) -> Vendor:
        turns = limits.turns(engine, dialect.name, allowed[leg])
        return Vendor(dialect, http, retries=_retries(), turns=turns, at=lambda point: at(f"{leg}.{point}"))

    return {leg: vendor(leg, dialect) for leg, dialect in dialects.items()}


def legs(
    settings: Settings, books: Books, speak: dict[LegName, Vendor], sandboxes: Sandboxes, at: Crash = nowhere
) -> dict[LegName, Leg]:
    turns = limits.turns(books.engine, "E2B", settings.limit_e2b)
    return {
        "database": NeonLeg(speak["database"], settings, at),
        "mail": ResendLeg(speak["mail"], settings, at),
        "analytics": PostHogLeg(settings),
        "git": GitHubLeg(speak["git"], settings),
        "vm": VmLeg(settings, sandboxes, retries=_retries(), turns=turns, at=at),
    }


def provisioner(
    settings: Settings,
    books: Books,
    legs: dict[LegName, Leg],
    sandboxes: Sandboxes,
    durable: Durable,
    *,
    repositories: Repositories,
    at: Crash = nowhere,
) -> Provisioner:
    budget, clock = settings.leg_budget_seconds, time.monotonic
    environment = Environment(books, sandboxes, Checkout(sandboxes, repositories), clock=clock, at=at)
    queue = settings.queue_seconds
    attempts = Attempts(books, legs, environment, budget_seconds=budget, queue_seconds=queue, clock=clock, at=at)
    ending = Ending(books, legs, budget_seconds=budget, queue_seconds=queue, at=at)
    at_once = settings.sessions_at_once
    return Provisioner(books, attempts, environment, ending, durable, at_once=at_once, clock=clock, at=at)


def pool(
    settings: Settings,
    books: Books,
    provisioner: Provisioner,
    *,
    machines: Machines,
    sandboxes: Sandboxes,
    vault_key: Secret,
    at: Crash = nowhere,
) -> Pool:
    made_from = recipe.digest(settings, vault_key) if settings.pool_size else ""
    oldest = settings.pool_max_age_hours * 3600
    entries = Entries(books, made_from, size=settings.pool_size, max_age_seconds=oldest, at=at)
    claims = Claims(books, made_from, max_age_seconds=oldest, at=at)
    return Pool(books, entries, claims, provisioner=provisioner, machines=machines, sandboxes=sandboxes, at=at)


def reaper(settings: Settings, books: Books, legs: dict[LegName, Leg], ending: Ending) -> Reaper:
    hours = settings.session_ttl_hours
    return Reaper(
        books,
        legs,
        ending,
        grace=timedelta(minutes=settings.reap_grace_minutes),
        cap=settings.reap_cap,
        ttl=timedelta(hours=hours) if hours else None,
    )


def contacts(settings: Settings, books: Books, resend: Vendor) -> Contacts:
    limits.read(settings.limit_contacts)  # a setting that is none is told at start-up
    return Contacts(books, resend, lambda slug: limits.turns(books.engine, line_of(slug), settings.limit_contacts))


def _retries() -> Retries:
    return Retries(Random())  # noqa: S311 - spreads retries, guards nothing
