"""The vendors' rate limits: one for all servers, a burst for who comes alone, fair and full under load."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# pyright: reportArgumentType=false, reportPrivateUsage=false
# (small stand-ins and executors map lambdas whose types are not spelled out)

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from server import limits
from server.books.turns import TurnBook
from server.errors import BadInput, LegError
from server.legs.deadline import seconds_left, within
from server.limits import VendorTurns
from server.settings import Settings

if TYPE_CHECKING:
    from server.books.books import Books

SESSIONS = 1000
PATIENT = 1e9


class Clock:
    """A moment that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def book(books: Books, text: str, clock: Clock | None = None) -> TurnBook:
    return TurnBook(books.engine, "GitHub", limits.read(text), clock=clock)


def turns(books: Books, text: str) -> VendorTurns:
    return limits.turns(books.engine, "GitHub", text)


def most_in(moments: list[float], seconds: float) -> int:
    """The most that fall into any window of this length."""
    first = most = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def as_fast_as_allowed(text: str) -> float:
    """Seconds that as many take when each goes the moment the vendor itself would let it."""
    moments: list[float] = []
    for _ in range(SESSIONS):
        behind = [(limit.most, limit.seconds) for limit in limits.read(text) if len(moments) >= limit.most]
        moments.append(max((moments[-most] + seconds for most, seconds in behind), default=0.0))
    return moments[-1]


@pytest.mark.parametrize("text", ["80/m 500/h", "2/s", "1/s"])
def test_a_thousand_at_once_are_never_too_many_never_slow_and_in_order(books: Books, text: str) -> None:
    clock = Clock()
    servers = [book(books, text, clock) for _ in range(3)]
    moments = [clock.now + servers[n % 3].reserve(PATIENT).waits[0] for n in range(SESSIONS)]
    assert moments == sorted(moments), "whoever asked first goes first"
    for limit in limits.read(text):
        assert most_in(moments, limit.seconds) <= limit.most
    assert moments[-1] - moments[0] <= as_fast_as_allowed(text) / 0.95


def test_whoever_comes_alone_waits_for_nothing(books: Books) -> None:
    clock = Clock()
    resend = book(books, "2/s", clock)
    assert [resend.reserve(PATIENT).waits for _ in range(2)] == [[0], [0]]
    assert resend.reserve(PATIENT).waits == pytest.approx([1.04])
    clock.now += 60
    assert [resend.reserve(PATIENT).waits for _ in range(2)] == [[0], [0]]


def test_turns_that_were_booked_together_come_together_or_not_at_all(books: Books) -> None:
    clock = Clock()
    resend = book(books, "2/s", clock)
    assert [resend.reserve(PATIENT, 2).waits for _ in range(2)] == [[0, 0], pytest.approx([1.04, 1.04])]
    assert resend.reserve(PATIENT).waits == pytest.approx([2.08])
    with pytest.raises(LegError, match="takes no more requests for 3 seconds"):
        resend.reserve(2.5, 2)
    assert resend.reserve(2.5).waits == pytest.approx([2.08]), "one that could not have both has none"


async def test_calls_that_belong_together_come_through_though_many_ask_at_once(books: Books) -> None:
    """Ten who need two calls each, with time for half of them: five get both, five are told at once, nobody one."""
    one = turns(books, "10/h")

    async def two() -> bool:
        try:
            async with within(5):
                for turn in await one.book(2):
                    await one.until(turn)
        except LegError:
            return False
        return True

    assert sorted(await asyncio.gather(*(two() for _ in range(10)))) == [False] * 5 + [True] * 5


def test_a_turn_that_comes_too_late_is_not_taken(books: Books) -> None:
    clock = Clock()
    one = book(books, "1/m", clock)
    one.reserve(PATIENT)
    for _ in range(3):
        with pytest.raises(LegError) as caught:
            one.reserve(10)
        assert (caught.value.code, caught.value.retryable) == ("rate_limited", True)
    assert one.reserve(PATIENT).waits == pytest.approx([62], abs=1), "the impatient have not made the line longer"


async def test_the_leg_is_told_at_once_that_its_time_will_not_do(books: Books) -> None:
    one = turns(books, "1/h")
    async with asyncio.timeout(5):
        async with within(5):
            await one.take()
            with pytest.raises(LegError, match="takes no more requests for 60 minutes"):
                await one.take()


async def test_the_wait_for_a_turn_is_not_of_the_legs_time(books: Books) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    one = VendorTurns("GitHub", book(books, "1/m"), sleep=sleep)
    async with within(5, queue_seconds=100):
        for _ in range(2):
            await one.take()
        assert slept == pytest.approx([62], abs=1)
        assert 62 < seconds_left() < 67, "it stood still until its turn"
        with pytest.raises(LegError, match="takes no more requests for 2 minutes"):
            await one.take()


async def test_who_asks_a_server_first_has_the_earlier_turn(books: Books) -> None:
    one = turns(books, "1/m")
    async with within(10, queue_seconds=1e6):
        booked = await asyncio.gather(*(one.book(1) for _ in range(40)))
    moments = [turn.at for [turn] in booked]
    assert moments == sorted(moments)


def test_when_the_vendor_asks_for_quiet_all_servers_are_quiet(books: Books) -> None:
    clock = Clock()
    here, there = (book(books, "80/m 500/h", clock) for _ in range(2))
    here.reserve(PATIENT)
    here.hold(30)
    here.hold(10)
    assert there.reserve(PATIENT).waits == pytest.approx([30])
    clock.now += 31
    assert there.reserve(PATIENT).waits == [0]


def test_the_vendors_wish_for_quiet_puts_everybody_off_by_as_much(books: Books) -> None:
    clock = Clock()
    here, there = (book(books, "1/m", clock) for _ in range(2))
    booked = [here.reserve(PATIENT) for _ in range(3)]
    assert [one.put_off for one in booked] == [0, 0, 0]
    there.hold(30)
    assert here.put_off() == 30
    clock.now += 10
    there.hold(25)
    assert here.put_off() == 35, "what was quiet already puts nobody off again"
    assert here.reserve(PATIENT).waits == pytest.approx([3 * 62 + 35 - 10])


async def test_who_waits_hears_that_the_vendor_put_it_off(books: Books) -> None:
    there, slept = book(books, "1/m"), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            there.hold(30)

    one = VendorTurns("GitHub", book(books, "1/m"), sleep=sleep)
    there.reserve(PATIENT)
    async with within(5, queue_seconds=100):
        await one.take()
        assert slept == pytest.approx([62, 62 + 30], abs=1)
        assert 92 < seconds_left() < 97, "that wait is not of the leg's time either"


async def test_a_turn_that_was_booked_ahead_is_put_off_too(books: Books) -> None:
    there, slept = book(books, "2/s"), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    one = VendorTurns("Resend", book(books, "2/s"), sleep=sleep)
    async with within(5, queue_seconds=100):
        first, second = await one.book(2)
        await one.until(first)
        assert slept == []
        there.hold(30)
        await one.until(replace(second, at=second.at - 1))  # the first call took a second
        assert slept == pytest.approx([29], abs=0.5)


async def test_order_and_pace_stay_when_everybody_is_put_off(books: Books) -> None:
    """By the moments they wait for: when a busy machine lets them go on is another matter."""
    loop, moments = asyncio.get_running_loop(), list[tuple[int, float]]()
    due: dict[int, float] = {}
    which: ContextVar[int] = ContextVar("which")

    async def sleep(seconds: float) -> None:
        due[which.get()] = loop.time() + seconds
        await asyncio.sleep(seconds)

    one = VendorTurns("GitHub", book(books, "2/s"), sleep=sleep)

    async def two(number: int) -> None:
        which.set(number)
        async with within(30, queue_seconds=30):
            for turn in await one.book(2):
                due[number] = turn.at
                await one.until(turn)
                moments.append((number, due[number]))

    await one.take()
    calls = [asyncio.create_task(two(number)) for number in range(3)]
    while len(moments) < 2:  # noqa: ASYNC110 - the moment is the test's
        await asyncio.sleep(0.01)
    await one.hold(0.6)
    await asyncio.gather(*calls)
    assert [number for place, (number, _) in enumerate(moments) if number not in dict(moments[:place])] == [0, 1, 2]
    assert most_in(sorted(moment for _, moment in moments), 1.0) <= 2


async def test_who_is_put_off_too_far_is_told_so(books: Books) -> None:
    there = book(books, "1/m")

    async def sleep(_: float) -> None:
        there.hold(300)

    one = VendorTurns("GitHub", book(books, "1/m"), sleep=sleep)
    there.reserve(PATIENT)
    with pytest.raises(LegError, match="takes no more requests for 6 minutes"):
        async with within(5, queue_seconds=100):
            await one.take()


async def test_at_a_turn_that_nobody_wants_any_more_nothing_is_made(books: Books) -> None:
    async def sleep(_: float) -> None:
        return

    def ended() -> None:
        raise LegError("It was ended.", code="ended", next_action="Start a new one.")

    one = VendorTurns("GitHub", book(books, "1/m"), sleep=sleep)
    async with within(5, queue_seconds=200, check_wanted=ended):
        await one.take()  # at once: nothing can have changed
        await one.take()  # what was begun is not broken off half-way
    with pytest.raises(LegError, match="ended"):
        async with within(5, queue_seconds=200, check_wanted=ended):
            await one.take()


def test_servers_that_reserve_at_once_get_different_turns(books: Books) -> None:
    clock = Clock()
    servers = [book(books, "10/m", clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        waits = sorted(wait for many in pool.map(_reserve_ten, servers) for wait in many)
    assert [waits.count(pytest.approx(62 * n, abs=0.1)) for n in range(4)] == [10, 10, 10, 10]


def _reserve_ten(server: TurnBook) -> list[float]:
    return [server.reserve(PATIENT).waits[0] for _ in range(10)]


async def test_zero_is_no_limit_and_touches_nothing() -> None:
    nobody: object = None
    await limits.turns(nobody, "GitHub", "0").take()  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "fast", "80", "80/x", "0/m", "-1/s", "80/m 5"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no rate limit"):
        limits.read(text)


def test_the_vendors_own_limits_are_the_defaults() -> None:
    settings = Settings()
    known = (settings.limit_neon, settings.limit_resend, settings.limit_github, settings.limit_e2b)
    assert [[(limit.most, limit.seconds) for limit in limits.read(text)] for text in known] == [
        [(700, 60), (40, 1)],
        [(2, 1)],
        [(80, 60), (500, 3600)],
        [(1, 1)],
    ]
