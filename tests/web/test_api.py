"""The API over the real stack: a key opens its session and nothing else, a run is told from start to end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from agent_loop.web.boot import Parts
    from tests.conftest import Stack

BOUND = 90
OPERATOR = {"authorization": f"Bearer {TOKEN}"}
UNSCRIPTED = "a chess engine with an opening book"  # the rehearsal says that it cannot, and ends quickly


@dataclass(frozen=True)
class Made:
    slug: str
    key: str

    @property
    def auth(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    def url(self) -> str:
        return f"/api/sessions/{self.slug}"


async def make(served: httpx.AsyncClient, **body: Any) -> Made:
    answer = await served.post("/api/sessions", json={"idea": UNSCRIPTED, **body})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["app_id"] == f"mk0r-{told['slug']}"
    return Made(told["slug"], told["session_key"])


async def story(served: httpx.AsyncClient, made: Made, after: int = 0) -> list[dict[str, Any]]:
    """Every event of the session, until nothing is under way."""
    async with asyncio.timeout(BOUND):
        answer = await served.get(f"{made.url}/events", headers={**made.auth, "last-event-id": str(after)})
    events: list[dict[str, Any]] = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "id" in fields:
            events.append({"type": fields["event"], "seq": int(fields["id"]), **json.loads(fields["data"])})
    assert "event: stream.end" in answer.text
    return events


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(BOUND):
        while not await holds():  # noqa: ASYNC110 - another program says so
            await asyncio.sleep(0.02)


@pytest.mark.timeout(180)
async def test_one_request_begins_everything_and_the_stream_tells_it_all(
    served: httpx.AsyncClient, parts: Parts
) -> None:
    made = await make(served)
    events = await story(served, made)
    kinds = [event["type"] for event in events]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert kinds[0] == "session.created"
    assert kinds.index("provisioned") < kinds.index("turn.started")
    assert {event["leg"] for event in events if event["type"] == "leg.finished"} == {
        *("database", "mail", "analytics", "git", "vm")
    }
    assert kinds[-1] in ("run.finished", "preview.ready")
    assert "rehearsal" in "".join(event["text"] for event in events if event["type"] == "text").lower()
    whole = json.dumps(events)
    assert made.key not in whole

    session = (await served.get(made.url, headers=made.auth)).json()
    assert session["state"] == "ready"
    assert session["last_seq"] == len(events)
    assert session["local_preview_url"].startswith("http://127.0.0.1:")

    names = (await served.get(f"{made.url}/env", headers=made.auth)).json()["env"]
    values = (await served.post(f"{made.url}/env/reveal", headers=made.auth, json={})).json()
    assert [name["name"] for name in names] == session["env_names"] == list(values)
    told = json.dumps([session, names, events])
    for name in ("DATABASE_URL", "NEON_ROLE_PASSWORD", "RESEND_API_KEY", "MK0R_CONTACTS_TOKEN"):
        assert values[name] not in told, name

    relay = f"/relay/contacts/mk0r-{made.slug}"
    bearer = {"authorization": f"Bearer {values['MK0R_CONTACTS_TOKEN']}"}
    assert (await served.post(relay, headers=bearer, json={"email": "a@b.example"})).status_code == 201
    assert (await served.post(relay, headers=made.auth, json={"email": "a@b.example"})).status_code == 400
    assert (await served.post(relay, headers=bearer, json={"email": "not one"})).status_code == 400

    again = await served.post(f"{made.url}/runs", headers=made.auth, json={"idea": "and a clock"})
    assert again.status_code == 202
    busy = await served.post(f"{made.url}/runs", headers=made.auth, json={"idea": "and another"})
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "busy")
    more = await story(served, made, after=len(events))
    assert [event["run"] for event in more if event["type"] == "run.finished"] == [again.json()["run"]]

    async with asyncio.timeout(BOUND):
        while (saved := parts.core.books.trajectories.newest(made.slug, before=3)) is None or saved["number"] < 2:  # noqa: ASYNC110 - a row is what it waits for
            await asyncio.sleep(0.05)  # it is saved just after its end was told
    said = json.dumps(saved["messages"])
    assert UNSCRIPTED in said, "the second run went on where the first ended"
    assert "and a clock" in said

    assert (await served.delete(made.url, headers=made.auth)).status_code == 200
    assert parts.core.books.trajectories.newest(made.slug, before=3) is None
    assert (await served.get(made.url, headers=made.auth)).status_code == 404
    assert (await served.get(made.url, headers=OPERATOR)).status_code == 404


async def test_a_key_opens_its_session_and_nothing_else(served: httpx.AsyncClient) -> None:
    mine, theirs = await make(served, services=["none"]), await make(served, services=["none"])
    doors = [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/env"),
        ("POST", "/env/reveal"),
        ("POST", "/runs"),
        ("POST", "/resume"),
        ("DELETE", ""),
    ]
    for auth in (mine.auth, {}, {"authorization": "Bearer mk0rk_AAAAAAAAAAAAAAAAAAAAAA"}, {"authorization": "Basic x"}):
        for method, path in doors:
            headers = {**auth, "content-type": "application/json"}
            answer = await served.request(method, theirs.url + path, headers=headers, content='{"idea": "x"}')
            assert answer.status_code == 404, (method, path)
            assert answer.json()["error"]["code"] == "unknown_session"
    assert (await served.get("/api/sessions", headers=mine.auth)).status_code == 401
    listed = (await served.get("/api/sessions", headers=OPERATOR)).json()["sessions"]
    assert {session["slug"] for session in listed} == {mine.slug, theirs.slug}


async def test_only_the_services_asked_for_are_made(served: httpx.AsyncClient) -> None:
    made = await make(served, services=["analytics"])
    await story(served, made)
    session = (await served.get(made.url, headers=made.auth)).json()
    outcomes = {leg["name"]: leg["outcome"] for leg in session["legs"]}
    assert outcomes == {
        **dict.fromkeys(("database", "mail", "git"), "skipped"),
        **dict.fromkeys(("analytics", "vm"), "made"),
    }
    assert session["local_preview_url"]


async def test_a_model_nobody_can_ask_is_refused_before_anything_is_made(served: httpx.AsyncClient) -> None:
    answer = await served.post("/api/sessions", json={"idea": "x", "model": "claude-opus-5-5"})
    assert answer.status_code == 400
    assert "ANTHROPIC_API_KEY" in answer.json()["error"]["next_action"]
    assert (await served.get("/api/sessions", headers=OPERATOR)).json()["sessions"] == []


async def test_a_run_is_stopped_at_once_in_the_middle_of_a_turn(
    served: httpx.AsyncClient, stack: Stack, parts: Parts
) -> None:
    await stack.fault("anthropic", path="/v1/messages", hold="turn")
    made = await make(served, services=["none"], idea="a run tracker that saves my runs")

    async def waiting() -> object:
        return (await stack.twin("anthropic", "GET", "held"))["held"]

    await until(waiting)
    stopped = (await served.post(f"{made.url}/stop", headers=made.auth, json={})).json()
    assert stopped == {"slug": made.slug, "run": f"run-{made.slug}-1", "stopped": True}
    again = (await served.post(f"{made.url}/stop", headers=made.auth, json={})).json()
    assert (again["run"], again["stopped"]) == (None, False)
    told = await story(served, made)
    assert (told[-1]["type"], told[-1]["outcome"], told[-1]["reason"]) == ("run.finished", "stopped", "You stopped it.")
    await stack.heal()
    other = await served.post(f"{made.url}/runs", headers=made.auth, json={"idea": UNSCRIPTED})
    assert other.status_code == 202, "the session is free for the next idea"
    later = await story(served, made, after=told[-1]["seq"])
    assert {event["run"] for event in later if "run" in event} == {other.json()["run"]}, (
        "the stopped one says nothing more"
    )
    assert (await served.post(f"{made.url}/stop", headers={"authorization": "Bearer x"}, json={})).status_code == 404
    await until(lambda: parts.core.durable.is_over(other.json()["run"]))


async def test_a_run_that_was_stopped_stays_so_when_its_process_died_before_the_engine_knew(
    served: httpx.AsyncClient, stack: Stack, parts: Parts
) -> None:
    """As a restart finds it: the engine still has the workflow, the story already ended."""
    made = await make(served, services=["none"])
    await story(served, made)
    run = f"run-{made.slug}-2"
    asked = {"run": run, "number": 2, "idea": UNSCRIPTED, "model": "rehearsal", "budget_usd": None}
    parts.core.events.append(made.slug, "run.requested", asked)
    parts.core.events.append(made.slug, "run.finished", {"run": run, "outcome": "stopped", "code": "asked"})
    before = len(await story(served, made))
    await parts.core.durable.start("agent_run", run, made.slug, asked)
    await until(lambda: parts.core.durable.is_over(run))
    assert len(await story(served, made)) == before


async def test_the_ideas_to_begin_with_are_those_of_the_examples(served: httpx.AsyncClient) -> None:
    told = (await served.get("/api/examples")).json()
    assert told["rehearsal"] is True
    first = next(one for one in told["examples"] if one["title"] == "Run tracker")
    assert first["idea"] == "A run tracker that actually saves my runs"
    assert [one["title"] for one in told["examples"] if one["after"] == "Run tracker"] == ["Weekly goal"]
