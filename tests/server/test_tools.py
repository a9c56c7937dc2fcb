"""The MCP surface: few tools, each worth its tokens, the same in both eras of the protocol."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client

from server.app import build_mcp
from server.books.store import Event
from server.tools.telling import Progress
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from server.app import Core

MOST_TOOLS = 12
MOST_CHARACTERS = 12_000


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Any:
    return request.param


async def listed(mode: Any) -> list[dict[str, Any]]:
    async with Client(build_mcp(None), mode=mode) as client:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - listing calls nothing
        tools = (await client.list_tools()).tools
    return [tool.model_dump(by_alias=True, exclude_none=True) for tool in tools]


async def test_the_list_fits_its_budget(mode: Any) -> None:
    tools = await listed(mode)
    assert len(tools) <= MOST_TOOLS
    assert len(json.dumps(tools)) <= MOST_CHARACTERS


async def test_every_tool_says_what_it_is_what_it_takes_and_what_it_answers(mode: Any) -> None:
    for tool in await listed(mode):
        assert tool["title"]
        assert len(tool["description"]) > 20
        assert len(tool["annotations"]) == 4
        assert tool["outputSchema"]["properties"]
        for argument, schema in tool["inputSchema"]["properties"].items():
            assert schema.get("description"), (tool["name"], argument)


async def test_the_skill_is_a_resource(mode: Any) -> None:
    async with Client(build_mcp(None), mode=mode) as client:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - reading calls nothing
        text = (await client.read_resource("skill://backend-services/SKILL.md")).contents[0]
    assert "process.env" in text.model_dump_json()


@pytest.mark.parametrize(
    "tool",
    [
        *("get_session", "get_env", "run_in_vm", "write_files", "read_file"),
        *("preview_app", "git_push", "destroy_session"),
    ],
)
async def test_a_strangers_key_opens_nothing(core: Core, mode: Any, tool: str) -> None:
    extra: dict[str, Any] = {
        "run_in_vm": {"command": "id"},
        "write_files": {"files": [{"path": "x", "content": "x"}]},
        "read_file": {"path": "x"},
        "git_push": {"message": "x"},
    }
    arguments = {"session_key": core.sessions.mint().reveal(), **extra.get(tool, {})}
    async with Client(core.mcp, mode=mode) as client:
        answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    assert "No session has this key" in answer.model_dump_json()


async def left(core: Core, slug: str) -> set[str]:
    """The legs whose vendors list something of the session's."""
    legs = core.reaper._legs.items()  # pyright: ignore[reportPrivateUsage] - a test may look inside
    return {name for name, leg in legs async for item in leg.listed() if item.app_id == f"mk0r-{slug}"}


async def test_destroying_removes_everything_and_may_be_asked_twice(core: Core, mode: Any) -> None:
    async with Client(core.mcp, mode=mode) as client:
        begun = await client.call_tool("provision_session", {})
        key, slug = begun.structured_content["session_key"], begun.structured_content["slug"]
        assert await left(core, slug) == {"database", "mail", "git", "vm"}
        for _ in range(2):
            gone = await client.call_tool("destroy_session", {"session_key": key})
            assert gone.structured_content == {"destroyed": slug}
        after = await client.call_tool("get_session", {"session_key": key})
    assert after.is_error
    assert await left(core, slug) == set()


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("run_in_vm", {}, "command: Field required"),
        ("write_files", {"files": []}, "files: List should have at least 1 item"),
        ("read_file", {"path": 7}, "path: Input should be a valid string"),
    ],
)
async def test_a_call_that_lacks_something_is_told_what_and_never_its_own_key(
    core: Core, mode: Any, tool: str, arguments: dict[str, Any], said: str
) -> None:
    key = core.sessions.mint().reveal()
    async with Client(core.mcp, mode=mode) as client:
        answer = await client.call_tool(tool, {"session_key": key, **arguments})
    told = answer.model_dump_json()
    assert answer.is_error
    assert said in told
    assert key not in told
    assert "pydantic" not in told


async def test_who_waits_hears_of_each_service_once_and_always_of_something_further_on(core: Core, mode: Any) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    app = core.mcp.streamable_http_app(stateless_http=True)
    async with serving(app, bind(), drain=1) as port, Client(f"http://127.0.0.1:{port}/mcp", mode=mode) as client:
        asked = {"services": ["database", "analytics"], "wait_seconds": 50}
        begun = await client.call_tool("provision_session", asked, progress_callback=hear)
        key = begun.structured_content["session_key"]
        told = sorted(message for _, _, message in heard if message)
        assert told == ["analytics: made", "database: made", "vm: made"]
        assert [(progress, total) for progress, total, _ in heard] == [(1, 3), (2, 3), (3, 3)]
        heard.clear()
        await client.call_tool("provision_session", {"session_key": key, "services": ["mail"]}, progress_callback=hear)
        assert heard == [(1, 1, "mail: made")]
        await client.call_tool("destroy_session", {"session_key": key})


def test_who_stands_in_line_hears_of_something_further_on_too() -> None:
    story, now = Progress(), datetime.now(UTC)
    told: list[tuple[str, dict[str, Any]]] = [
        ("provisioning", {"legs": ["git", "vm"]}),
        ("queued", {"place": 2}),
        ("leg.queued", {"leg": "git", "seconds": 9}),
        ("leg.finished", {"leg": "vm", "outcome": "made"}),
        ("leg.finished", {"leg": "git", "outcome": "failed"}),
    ]
    heard = [story.told(Event(seq, now, kind, data)) for seq, (kind, data) in enumerate(told, 1)]
    assert heard[0] is None
    values = [one[0] for one in heard if one]
    assert values == sorted(set(values)), "the protocol wants it to increase"
    assert heard[-1] == (2, 2, "git: failed")
