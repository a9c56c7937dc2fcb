"""The order in which legs begin: among other sessions, what takes long does not wait for what does not."""

# pyright: reportPrivateUsage=false
# (what is shown here is only an order)

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from server.provision import LONGEST_FIRST, Provisioner
from server.settings import LEGS

if TYPE_CHECKING:
    from server.books.books import Books
    from server.settings import LegName


class Journal:
    """As much of the workflow engine and of the attempts as it takes: a leg begins, and ends when the test says so."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.ended = asyncio.Event()

    async def insist(self, _step: str, work: Any, slug: str, leg: str) -> None:
        await work(slug, leg)

    async def run(self, slug: str, leg: str) -> None:
        self.begun.append((slug, leg))
        await self.ended.wait()


class Ending:
    destroy = None


async def test_alone_all_begin_at_once_and_among_others_the_longest_first(books: Books) -> None:
    journal = Journal()
    nobody = cast("Any", None)
    provisioner = Provisioner(
        books, cast("Any", journal), nobody, cast("Any", Ending()), cast("Any", journal), at_once=9, clock=nobody
    )
    names: list[LegName] = [*LEGS]
    async with asyncio.TaskGroup() as races:
        races.create_task(provisioner._race("alone", names))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert journal.begun == [("alone", leg) for leg in LONGEST_FIRST]
        for slug in ("one", "another"):
            races.create_task(provisioner._race(slug, names))
        async with asyncio.timeout(10):
            while len(journal.begun) < 3 * len(LEGS):  # noqa: ASYNC110 - the order is what is waited for
                await asyncio.sleep(0.01)
        journal.ended.set()
    assert journal.begun[len(LEGS) :] == [(slug, leg) for leg in LONGEST_FIRST for slug in ("one", "another")]
