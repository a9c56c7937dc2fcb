"""What becomes of mail: simulated fates, suppressed addresses, topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.resend_stage import ADMIN, ANN, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("resend")) as running:
        yield running


@pytest.fixture
async def twin(running: Stage) -> Stage:
    return await running.anew()


async def happened(twin: Stage, email_id: str) -> list[str]:
    (mail,) = [mail for mail in await twin.mailbox() if mail["id"] == email_id]
    return [event["type"] for event in mail["events"]]


@pytest.mark.parametrize(
    ("to", "events"),
    [
        ("delivered@resend.dev", ["sent", "delivered"]),
        ("complained+monday@resend.dev", ["sent", "delivered", "complained"]),
        ("Bob <bounced@resend.dev>", ["sent", "bounced"]),
        ("suppressed@resend.dev", ["suppressed"]),
    ],
)
async def test_resends_own_addresses_simulate_every_fate_as_often_as_asked(
    twin: Stage, to: str, events: list[str]
) -> None:
    for _ in range(2):
        sent = await twin.send(to=to)
        assert (await happened(twin, sent), await twin.state(sent)) == (events, events[-1])


async def test_whoever_bounced_gets_no_more_mail_until_taken_off_the_list(twin: Stage) -> None:
    sent = await twin.send()
    await twin.twin("POST", f"emails/{sent}/events", json={"type": "bounced"})
    (suppressed,) = (await twin.do("GET", "/suppressions"))["data"]
    assert (suppressed["email"], suppressed["origin"], suppressed["source_id"]) == (ANN, "bounce", sent)
    again = await twin.send(to=["Ann <ANN@mail.test>", "bob@mail.test"])
    assert await happened(twin, again) == ["sent", "delivered", "suppressed"]
    assert await twin.state(await twin.send()) == "suppressed"
    await twin.do("DELETE", f"/suppressions/{ANN}")
    assert await twin.state(await twin.send()) == "delivered"


async def test_addresses_are_suppressed_and_released_by_hand_and_by_the_hundred(twin: Stage) -> None:
    made = await twin.do("POST", "/suppressions", {"email": ANN})
    assert await twin.do("POST", "/suppressions", {"email": ANN.upper()}) == made
    batch = await twin.do("POST", "/suppressions/batch/add", {"emails": ["bob@mail.test", ANN]})
    assert [each["object"] for each in batch["data"]] == ["suppression", "suppression"]
    assert len((await twin.do("GET", "/suppressions?origin=manual"))["data"]) == 2
    assert (await twin.do("GET", f"/suppressions/{made['id']}"))["email"] == ANN
    gone = await twin.do("POST", "/suppressions/batch/remove", {"emails": [ANN, "nobody@mail.test"]})
    assert gone["data"] == [{"object": "suppression", "id": made["id"], "deleted": True}]
    bodies: list[Any] = [{}, {"emails": []}, {"emails": ["a@b.co"], "ids": ["x"]}]
    for bad in bodies:
        assert await twin.refused("POST", "/suppressions/batch/remove", bad) == (422, "validation_error")
    assert await twin.refused("POST", "/suppressions", {"email": "nobody"}) == (422, "validation_error")


async def test_a_mail_of_a_topic_reaches_only_those_who_want_the_topic(twin: Stage) -> None:
    wanted = await twin.do("POST", "/topics", {"name": "News", "default_subscription": "opt_in"})
    asked_for = await twin.do("POST", "/topics", {"name": "Ads", "default_subscription": "opt_out"})
    topics = [{"id": wanted["id"], "subscription": "opt_out"}, {"id": asked_for["id"], "subscription": "opt_in"}]
    await twin.do("POST", "/contacts", {"email": ANN, "topics": topics})
    for topic, to, state in (
        (wanted, ANN, "suppressed"),
        (wanted, "stranger@mail.test", "delivered"),
        (asked_for, ANN, "delivered"),
        (asked_for, "stranger@mail.test", "suppressed"),
    ):
        assert await twin.state(await twin.send(to=to, topic_id=topic["id"])) == state


async def test_only_what_can_happen_to_a_mail_can_be_said_of_it(twin: Stage) -> None:
    sent = await twin.send()
    for path, body in ((sent, {"type": "eaten"}), ("nobody", {"type": "opened"})):
        answer = await twin.api.post(f"/_twin/emails/{path}/events", json=body, headers=ADMIN)
        assert answer.status_code == 422
    for kind in ("opened", "clicked"):
        await twin.twin("POST", f"emails/{sent}/events", json={"type": kind})
    assert await happened(twin, sent) == ["sent", "delivered", "opened", "clicked"]
