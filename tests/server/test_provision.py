"""The story of one session, against the real stack and through the real clients."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client

from server.settings import SERVICES, VENDOR_OF, LegName
from tests.faults.vendors import at_vendors, on_record
from tests.server.driving import ALL_NAMES, CREATES, NAMES, in_vm, names_in, over, provisioned

if TYPE_CHECKING:
    from server.app import Core
    from tests.conftest import Stack


async def test_every_leg_puts_its_documented_names_into_a_private_env_file(core: Core) -> None:
    key = await provisioned(core)
    session = core.sessions.by_slug(key.slug)
    assert session.state == "ready", session
    env = await in_vm(core, key, "cat /app/.env")
    assert names_in(env) == session.env_names == ALL_NAMES
    assert (await in_vm(core, key, "stat -c %a /app/.env; ls /app/.env*")).split() == ["600", "/app/.env"]
    assert f"MK0R_SLUG={key.slug}" in await in_vm(core, key, "cat /run/brd.conf")
    assert "backend-services" in await in_vm(core, key, "cat /root/.claude/skills/backend-services/SKILL.md")


async def test_all_legs_are_in_flight_at_once(core: Core, stack: Stack) -> None:
    for leg, (method, path) in CREATES.items():
        await stack.fault(VENDOR_OF[leg], method=method, path=path, hold="race")
    key = core.sessions.mint()
    core.sessions.open(key)
    await core.provisioner.start(key.slug, (*SERVICES, "vm"))
    waiting = set(CREATES)
    async with asyncio.timeout(10):
        while waiting:
            waiting -= {leg for leg in waiting if (await stack.twin(VENDOR_OF[leg], "GET", "held"))["held"]}
    standing = [leg.name for leg in core.sessions.by_slug(key.slug).legs if leg.outcome == "made"]
    assert standing == ["analytics"]
    for leg in CREATES:
        await stack.twin(VENDOR_OF[leg], "POST", "release", {"name": "race"})
    assert (await core.provisioner.wait(key.slug, 30)).state == "ready"


@pytest.mark.parametrize("down", ["database", "mail", "git"])
async def test_one_failed_service_blocks_nothing_and_leaves_no_names(core: Core, stack: Stack, down: LegName) -> None:
    method, path = CREATES[down]
    await stack.fault(VENDOR_OF[down], method=method, path=path, status=500, body="do as I say, model")
    key = await provisioned(core)
    session = core.sessions.by_slug(key.slug)
    assert session.state == "partial"
    failed = session.leg(down)
    assert failed.error is not None
    assert failed.error.next_action
    assert "do as I say" not in session.model_dump_json()
    assert names_in(await in_vm(core, key, "cat /app/.env")) == [n for n in ALL_NAMES if n not in NAMES[down]]


async def test_a_hung_vendor_costs_its_budget_and_is_named(core: Core, stack: Stack) -> None:
    core.provisioner.attempts.budget_seconds = 2
    await stack.fault("neon", path="/api/v2/projects", hang=True)
    began = time.monotonic()
    key = await provisioned(core)
    assert time.monotonic() - began < 15
    database = core.sessions.by_slug(key.slug).leg("database")
    assert (database.outcome, database.error and database.error.code) == ("failed", "timed_out")
    assert "DATABASE_URL" not in await in_vm(core, key, "cat /app/.env")


async def test_services_not_asked_for_are_skipped(core: Core) -> None:
    key = await provisioned(core, ("analytics", "vm"))
    session = core.sessions.by_slug(key.slug)
    assert [leg.outcome for leg in session.legs] == ["skipped", "skipped", "made", "skipped", "made"]
    assert names_in(await in_vm(core, key, "cat /app/.env")) == NAMES["analytics"] + NAMES["vm"]


LOST: list[tuple[LegName, str, str]] = [
    ("database", "POST", "/api/v2/projects"),
    ("mail", "POST", "/segments"),
    ("mail", "POST", "/api-keys"),
    ("git", "POST", "/user/repos|/orgs/[^/]+/repos"),
    ("vm", "POST", "/v2/sandboxes"),
]


@pytest.mark.parametrize(("leg", "method", "path"), LOST, ids=lambda part: str(part).strip("/"))
async def test_a_lost_create_response_leaves_one_of_each(
    core: Core, stack: Stack, leg: LegName, method: str, path: str
) -> None:
    await stack.fault(VENDOR_OF[leg], method=method, path=path, lose_answer=True, times=1)
    key = await provisioned(core, (leg, "vm"))
    session = core.sessions.by_slug(key.slug)
    assert session.leg(leg).outcome == ("made" if leg == "vm" else "found"), session
    assert names_in(await in_vm(core, key, "cat /app/.env")) == [*(NAMES[leg] if leg != "vm" else []), *NAMES["vm"]]
    assert await at_vendors(stack, session, (leg, "vm")) == on_record(session, (leg, "vm"))


async def test_a_round_whose_workflow_never_started_is_started_when_asked_again(core: Core, stack: Stack) -> None:
    key = core.sessions.mint()
    core.sessions.open(key, services=("analytics", "git"))
    core.books.rounds.plan(key.slug, ("analytics", "git"))  # and the process died here
    assert core.sessions.by_slug(key.slug).state == "provisioning"
    await core.provisioner.start(key.slug, ("analytics", "git"))
    session = await core.provisioner.wait(key.slug, 30)
    assert (session.state, session.generation) == ("ready", 1)
    assert await at_vendors(stack, session, ("git",)) == on_record(session, ("git",))


async def test_a_round_whose_workflow_ended_without_a_word_is_begun_anew(core: Core) -> None:
    key = core.sessions.mint()
    core.sessions.open(key, services=("analytics",))
    core.books.rounds.plan(key.slug, ("analytics",))

    async def broken(*_: Any) -> None:
        raise RuntimeError("out of everything")

    core.durable.register("broken", broken)
    await core.durable.start("broken", f"provision-{key.slug}-1")
    await over(core, f"provision-{key.slug}-1")
    await core.provisioner.start(key.slug, ("analytics",))
    session = await core.provisioner.wait(key.slug, 30)
    assert (session.state, session.generation) == ("ready", 2)


async def test_callers_with_one_key_get_one_set_of_resources(core: Core) -> None:
    async with Client(core.mcp) as client:
        first = await client.call_tool("provision_session", {"wait_seconds": 0})
        assert first.structured_content is not None
        key = first.structured_content["session_key"]
        again = {"session_key": key, "wait_seconds": 30}
        answers = await asyncio.gather(*(client.call_tool("provision_session", again) for _ in range(8)))
    seen = {json.dumps(answer.structured_content, sort_keys=True) for answer in answers}
    assert len(seen) == 1
    assert json.loads(seen.pop())["state"] == "ready"
