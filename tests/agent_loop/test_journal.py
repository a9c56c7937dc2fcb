"""The journal in memory, which behaves as one on disk would."""

from __future__ import annotations

import pytest

from agent_loop.journal import MemoryJournal


async def test_a_step_runs_once_over_the_life_of_a_run() -> None:
    ran: list[str] = []

    async def work() -> dict[str, int]:
        ran.append("work")
        return {"n": len(ran)}

    journal = MemoryJournal()
    assert await journal.step("one", work) == {"n": 1}
    assert await journal.step("one", work) == {"n": 2}
    replay = journal.again()
    assert [await replay.step("one", work), await replay.step("one", work)] == [{"n": 1}, {"n": 2}]
    assert len(ran) == 2


async def test_a_changed_order_of_steps_is_noticed() -> None:
    async def work() -> int:
        return 1

    journal = MemoryJournal()
    await journal.step("one", work)
    with pytest.raises(RuntimeError, match="step 0 was 'one' when it was written and is 'two' now"):
        await journal.again().step("two", work)


async def test_a_result_that_is_not_json_is_refused() -> None:
    async def work() -> object:
        return object()

    with pytest.raises(TypeError):
        await MemoryJournal().step("one", work)


async def test_a_step_that_was_broken_off_runs_again() -> None:
    tries: list[int] = []

    async def work() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise TimeoutError
        return len(tries)

    journal = MemoryJournal()
    with pytest.raises(TimeoutError):
        await journal.step("one", work)
    assert await journal.again().step("one", work) == 2
