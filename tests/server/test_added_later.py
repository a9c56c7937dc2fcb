"""What was not asked for, or failed, is had later: only that runs, and `.env` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.server.driving import CREATES, NAMES, held, in_vm, names_in, provisioned, says, until

if TYPE_CHECKING:
    from server.app import Core
    from tests.conftest import Stack


async def test_a_service_can_be_added_later_and_only_it_runs(core: Core, stack: Stack) -> None:
    key = await provisioned(core, ("analytics", "vm"))
    before = core.sessions.by_slug(key.slug)
    app = "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c ^DATABASE_URL= || true"
    assert (await in_vm(core, key, app)).strip() == "0"
    await core.provisioner.add(key.slug, ("database",))
    after = await core.provisioner.wait(key.slug, 60)
    assert (after.state, after.services) == ("ready", ["database", "analytics", "vm"])
    assert after.sandbox_id == before.sandbox_id
    told = [(e.type, e.data["leg"]) for e in core.events.since(key.slug, 0) if e.type == "leg.started"]
    assert [leg for _, leg in told].count("vm") == 1
    assert told[-1] == ("leg.started", "database")
    assert names_in(await in_vm(core, key, "cat /app/.env")) == NAMES["database"] + NAMES["analytics"] + NAMES["vm"]
    await until(lambda: says(core, key, f"test $({app}) -gt 0 && echo yes"))


async def test_a_failed_service_can_be_had_later(core: Core, stack: Stack) -> None:
    await stack.fault("github", method="POST", path=CREATES["git"][1], status=401)
    key = await provisioned(core, ("git", "vm"))
    assert core.sessions.by_slug(key.slug).state == "partial"
    await stack.heal()
    await core.provisioner.add(key.slug, ("git",))
    session = await core.provisioner.wait(key.slug, 30)
    assert session.state == "ready"
    assert names_in(await in_vm(core, key, "cat /app/.env")) == NAMES["git"] + NAMES["vm"]


async def test_a_service_added_while_others_come_up_comes_too(core: Core, stack: Stack) -> None:
    await stack.fault("github", method="POST", path=CREATES["git"][1], hold="slow")
    key = core.sessions.mint()
    core.sessions.open(key, services=("git",))
    await core.provisioner.start(key.slug, ("git",))
    await held(stack, "github")
    await core.provisioner.add(key.slug, ("analytics",))
    await stack.twin("github", "POST", "release", {"name": "slow"})
    session = await core.provisioner.wait(key.slug, 30)
    assert (session.state, session.env_names) == ("ready", NAMES["analytics"] + NAMES["git"])


async def test_a_service_that_failed_is_tried_again_although_others_still_come_up(core: Core, stack: Stack) -> None:
    await stack.fault("github", method="POST", path=CREATES["git"][1], status=401, times=1)
    await stack.fault("neon", method="POST", path=CREATES["database"][1], hold="slow")
    key = core.sessions.mint()
    core.sessions.open(key, services=("git", "database"))
    await core.provisioner.start(key.slug, ("git", "database"))
    await held(stack, "neon")
    await until(lambda: _has_failed(core, key.slug))
    await core.provisioner.add(key.slug, ("git",))
    await stack.twin("neon", "POST", "release", {"name": "slow"})
    session = await core.provisioner.wait(key.slug, 30)
    assert (session.state, session.generation) == ("ready", 2)
    assert session.env_names == NAMES["database"] + NAMES["git"]


async def _has_failed(core: Core, slug: str) -> bool:
    return core.sessions.by_slug(slug).leg("git").outcome == "failed"


async def test_a_vm_that_takes_no_env_file_is_named_and_mended(core: Core) -> None:
    key = await provisioned(core, ("vm",))
    await in_vm(core, key, "rm -f /app/.env; mkdir /app/.env")
    await core.provisioner.add(key.slug, ("analytics",))
    session = await core.provisioner.wait(key.slug, 30)
    problem = session.leg("vm").error
    assert problem is not None
    assert (session.state, problem.code) == ("partial", "vm_write")
    await in_vm(core, key, "rmdir /app/.env")
    await core.provisioner.start(key.slug, ("vm",))
    again = await core.provisioner.wait(key.slug, 30)
    assert (again.state, again.sandbox_id) == ("ready", session.sandbox_id)
    assert names_in(await in_vm(core, key, "cat /app/.env")) == NAMES["analytics"] + NAMES["vm"]
