"""Sessions asked for at once at vendors that keep to their limits: a few of them, faster than at the vendors'."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.app import open_core
from server.local.home import Home
from server.local.stack import settings_from
from server.secrets import Secret
from server.settings import SERVICES, Settings
from tests.faults.burst import burst, our_limits, strict
from tests.faults.verdict import Verdict

if TYPE_CHECKING:
    from tests.faults.stage import Stage

SESSIONS, FASTER = 12, 2


async def test_vendors_that_keep_to_their_limits_turn_nobody_away(staged: Stage) -> None:
    folder = staged.new_folder()
    url, hosted = staged.new_store("postgres", folder)
    async with Verdict.over(staged.stack.facts, url) as verdict, strict(staged, FASTER):
        changes = {"database_url": Secret(hosted or ""), "secret_key": Secret(verdict.secret_key), **our_limits(FASTER)}
        settings = Settings().with_local(settings_from(staged.stack.facts)).model_copy(update=changes)
        async with open_core(settings, Home(folder)) as core:
            core.durable.launch()
            served = await burst(
                staged, verdict, SESSIONS, lambda _, key: core.provisioner.start(key.slug, SERVICES), FASTER
            )
            stories = [core.events.since(session.slug, 0) for session in core.sessions.all()]
            for session in core.sessions.all():
                await core.provisioner.destroy(session.slug)
    assert served.refused == {}
    queued = [event.data for story in stories for event in story if event.type == "leg.queued"]
    assert {told["leg"] for told in queued} >= {"mail"}, "who waits for a turn is told so"
    assert max(told["seconds"] for told in queued if told["leg"] == "mail") <= SESSIONS / FASTER
