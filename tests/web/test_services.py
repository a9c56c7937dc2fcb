"""What is missing is made later, alone; and what nobody claims is found: over HTTP and MCP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.web.conftest import TOKEN
from tests.web.test_api import OPERATOR, Made, make, story

if TYPE_CHECKING:
    import httpx

    from agent_loop.web.boot import Parts
    from tests.conftest import Stack

VM = {"MK0R_JOBS_TOKEN"}
MAIL = {*VM, "RESEND_API_KEY", "RESEND_AUDIENCE_ID", "RESEND_FROM", "MK0R_CONTACTS_URL", "MK0R_CONTACTS_TOKEN"}


async def provision(served: httpx.AsyncClient, made: Made, *names: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Which services were missing, and what was told until they had their outcomes."""
    last = (await served.get(made.url, headers=made.auth)).json()["last_seq"]
    body = {"services": names} if names else {}
    answer = await served.post(f"{made.url}/services", headers=made.auth, json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["services"], await story(served, made, after=last)


def legs(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["leg"], event["outcome"]) for event in events if event["type"] == "leg.finished"]


async def names_in_vm(parts: Parts, made: Made) -> set[str]:
    read = await parts.core.sandboxes.run(
        parts.core.sessions.by_slug(made.slug).sandbox_id or "", "cut -d= -f1 /app/.env"
    )
    return set(read.stdout.split())


async def test_a_service_left_out_is_made_later_and_nothing_else_is(served: httpx.AsyncClient, parts: Parts) -> None:
    made = await make(served, services=["none"])
    await story(served, made)
    assert await names_in_vm(parts, made) == VM

    missing, told = await provision(served, made, "resend")
    assert missing == ["mail"]
    assert legs(told) == [("mail", "made")]
    assert [event["legs"] for event in told if event["type"] == "provisioning"] == [["mail"]]
    assert await names_in_vm(parts, made) == MAIL

    assert await provision(served, made, "mail") == ([], [])
    missing, told = await provision(served, made)
    assert missing == ["database", "analytics", "git"]
    assert {outcome for _, outcome in legs(told)} == {"made"}
    assert await names_in_vm(parts, made) > MAIL

    answer = await served.post(f"{made.url}/services", headers=made.auth, json={"services": ["fax"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_input")


async def test_a_service_that_failed_is_repaired_and_the_app_gets_its_names(
    served: httpx.AsyncClient, parts: Parts, stack: Stack
) -> None:
    await stack.fault("resend", path="/segments", status=403)
    made = await make(served, services=["mail"])
    await story(served, made)
    session = (await served.get(made.url, headers=made.auth)).json()
    assert session["state"] == "partial"
    assert await names_in_vm(parts, made) == VM
    await stack.heal()
    assert legs((await provision(served, made, "mail"))[1]) == [("mail", "made")]
    assert await names_in_vm(parts, made) == MAIL
    assert (await served.get(made.url, headers=made.auth)).json()["state"] == "ready"


async def test_a_sweep_is_the_operators_and_removes_only_when_told(
    served: httpx.AsyncClient, parts: Parts, stack: Stack
) -> None:
    made = await make(served, services=["mail"])
    await story(served, made)
    assert (await served.post("/api/reap", headers=made.auth, json={"apply": True})).status_code == 401
    swept = (await served.post("/api/reap", headers=OPERATOR, json={})).json()
    assert (swept["removed"], swept["orphans"]) == (0, [])
    assert swept["seen"] >= 2
    assert (await served.get(made.url, headers=made.auth)).status_code == 200


async def call(served: httpx.AsyncClient, tool: str, arguments: dict[str, Any], token: str = "") -> dict[str, Any]:
    """One tool call as a stateless client of today sends it."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": tool,
        **({"authorization": f"Bearer {token}"} if token else {}),
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await served.post("/mcp", json=message, headers=headers)
    data = next((line[5:] for line in answer.text.splitlines() if line.startswith("data:")), answer.text)
    return json.loads(data)["result"]


async def test_sessions_are_listed_for_the_operator_alone_and_without_keys(served: httpx.AsyncClient) -> None:
    made = await make(served, services=["none"])
    for stranger in ("", made.key, "x"):
        refused = await call(served, "list_sessions", {}, stranger)
        assert refused["isError"]
        assert "Only the operator" in json.dumps(refused)
    listed = await call(served, "list_sessions", {}, TOKEN)
    assert made.slug in {session["slug"] for session in listed["structuredContent"]["sessions"]}
    assert made.key not in json.dumps(listed)
