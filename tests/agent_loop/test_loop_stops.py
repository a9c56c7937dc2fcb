"""What stops a run of the loop, and how the next goes on: budgets, cancelling, the journal, its history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agent_loop import limits as limits_module
from agent_loop.journal import MemoryJournal
from agent_loop.limits import Limits, Price
from tests.agent_loop.steps import DONE, ONE_COMMAND

if TYPE_CHECKING:
    from tests.agent_loop.conftest import Stage
else:
    Stage = Any


@pytest.mark.parametrize(
    ("limits", "reason", "pushes"),
    [
        (Limits(turns=1), "The run used its 1 turns.", 1),
        (Limits(tokens=50), "The run used its 50 tokens.", 1),
        (Limits(dollars=0.000001), "The run used its budget of $0.00.", 0),
    ],
)
async def test_a_budget_stops_the_run_before_the_next_turn(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, limits: Limits, reason: str, pushes: int
) -> None:
    monkeypatch.setitem(limits_module.PRICES, "rehearsal", (Price(1, 1, 1, 1),))
    stage.script(ONE_COMMAND * 3 + DONE)
    result = await stage.run(limits=limits)
    assert (result.outcome, result.reason, result.turns) == ("stopped", reason, 1)
    assert len(stage.requests) == 1
    assert stage.told("run.finished")[0]["outcome"] == "stopped"
    assert len(stage.shop.pushes) == pushes, "where the words were cut short no tool was called"


async def test_seconds_bound_a_model_that_never_answers(stage: Stage) -> None:
    stage.script(DONE)
    stage.fault(hang=True)
    result = await stage.run(limits=Limits(seconds=0.2))
    assert (result.outcome, result.reason) == ("stopped", "The run used its 0.2 seconds.")


async def test_cancelling_passes_through_and_the_journal_goes_on_where_it_stopped(stage: Stage) -> None:
    stage.script(ONE_COMMAND + ONE_COMMAND.replace("echo $((6*7))", "echo > begun; cat < pipe") + DONE)
    await stage.shop.run("mkfifo pipe begun", 10)
    journal = MemoryJournal()
    running = asyncio.create_task(stage.run(journal=journal))
    await stage.shop.run("cat < begun", 30)  # the second command has started
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stage.shop.pushes == []
    asked, called = len(stage.requests), len(stage.shop.log)

    await stage.shop.run("rm pipe begun; echo now > pipe", 10)
    result = await stage.run(journal=journal.again())
    assert result.outcome == "done"
    assert len(stage.requests) == asked + 1  # only the turn that was missing
    assert stage.shop.log[called : called + 2] == ["run_in_vm echo > begun; cat < pipe", "model"]
    assert [turn["turn"] for turn in stage.told("turn.started")] == [1, 2, 3]


async def test_a_replayed_journal_calls_nothing_and_tells_nothing_again(stage: Stage) -> None:
    stage.script(ONE_COMMAND + DONE)
    journal = MemoryJournal()
    first = await stage.run(journal=journal)
    asked, called, told = len(stage.requests), len(stage.shop.log), len(stage.events)
    again = await stage.run(journal=journal.again())
    assert again == first
    assert (len(stage.requests), len(stage.shop.log), len(stage.events)) == (asked, called, told)


async def test_a_second_run_goes_on_from_the_first_and_closes_what_it_left_open(stage: Stage) -> None:
    stage.script(ONE_COMMAND.replace('say = "I look', 'think = "Hm."\nsay = "I look') + DONE)
    first = await stage.run(limits=Limits(turns=1))
    assert first.outcome == "stopped"
    interrupted = first.messages[:-1]  # as if it had been killed during the call
    second = await stage.run(history=interrupted)
    assert second.outcome == "done"
    sent = stage.requests[1]["messages"]
    assert [block["type"] for block in sent[1]["content"]] == ["text", "tool_use"]
    assert "ended before" in sent[2]["content"][0]["content"][0]["text"]
