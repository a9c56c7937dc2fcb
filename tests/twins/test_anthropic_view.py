"""What a person sees of the rehearsal, what is kept of it, and what its coverage claims."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from server.twins.anthropic.coverage import ENDPOINTS, PARTIAL
from tests.twins.anthropic_stage import KEY, TOOLS, Rehearsed, rehearsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Rehearsed]:
    async with rehearsing(tmp_path) as rehearsed:
        yield rehearsed


async def play(stage: Rehearsed, idea: str) -> None:
    """A turn, and the one after its calls."""
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=stage.url) as sdk:
        messages: list[Any] = [{"role": "user", "content": idea}]
        said = await sdk.messages.create(model="rehearsal", max_tokens=999, messages=messages, tools=TOOLS)
        answers = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "{}"}
            for block in said.content
            if block.type == "tool_use"
        ]
        if answers:
            messages += [said.to_param(), {"role": "user", "content": answers}]
            await sdk.messages.create(model="rehearsal", max_tokens=999, messages=messages, tools=TOOLS)


async def view(stage: Rehearsed, path: str = "") -> dict[str, Any]:
    told = await stage.twin("GET", f"view?at={path}")
    return {"title": told["title"], **{block["title"]: block["rows"] for block in told["blocks"]}}


async def test_a_conversation_is_shown_with_its_turns_and_the_tools_called(stage: Rehearsed) -> None:
    await play(stage, "A run tracker")
    stage.clock.pass_seconds(60)
    await play(stage, "A chess clock")
    front = await view(stage)
    chess, run = front["Conversations"]
    assert (chess[1]["text"], chess[4]) == ("A chess clock", "refusal")
    assert (run[1]["text"], run[2], run[3]) == ("A run tracker", "2", "get_env, write_files, run_in_vm")
    assert ["A run tracker", "Run tracker", "-", "5"] in front["Ideas it has a script for"]
    assert KEY not in str(front)
    shown = await view(stage, run[1]["to"])
    assert shown["title"] == "A run tracker"
    assert ["get_env", "1"] in shown["Tools called"]
    who = [(turn[0], turn[1]) for turn in shown["Turns"]]
    assert who[:2] == [("user", "text"), ("assistant", "thinking")]
    assert ("user", "tool_result") in who


async def test_a_view_of_nothing_is_not_found(stage: Rehearsed) -> None:
    for path in ("conversations/elsewhere", "elsewhere"):
        with pytest.raises(Exception, match="404"):
            await view(stage, path)


async def test_conversations_are_put_aside_brought_back_and_forgotten(stage: Rehearsed) -> None:
    await play(stage, "A run tracker")
    await stage.twin("POST", "snapshots", {"name": "one"})
    await stage.twin("POST", "reset")
    assert (await view(stage))["Conversations"] == []
    await play(stage, "A chess clock")
    await stage.twin("POST", "snapshots/one/restore")
    assert [row[1]["text"] for row in (await view(stage))["Conversations"]] == ["A run tracker"]


def test_the_endpoints_listed_are_those_the_sdks_resources_call() -> None:
    resources = Path(anthropic.__file__).parent / "resources"
    called: set[str] = set()
    paths: set[str] = set()
    for file in resources.rglob("*.py"):
        if file.relative_to(resources).parts[0] not in ("beta", "organization"):
            source = file.read_text()
            paths |= {*re.findall(r'"(/v1/[^"?]+)', source)}
            found = re.findall(r'self\._(\w+)\(\s*(?:path_template\(\s*)?"(/v1/[^"?]+)', source)
            called |= {f"{verb.removesuffix('_api_list').upper()} {path}" for verb, path in found}
    # A path may come from an earlier answer (a batch's results), and then only its name is in the source.
    assert called <= {*ENDPOINTS}
    assert paths == {endpoint.split()[1] for endpoint in ENDPOINTS}
    assert {*PARTIAL} <= {*ENDPOINTS}
