"""Every tool call is answered where it must be: at the beginning of the turn that follows it, once."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.twins.anthropic.conversation import Json, blocks_of
from server.twins.anthropic.errors import invalid


@dataclass
class _Turn:
    """Neighbours of one role are one turn."""

    role: str
    blocks: list[tuple[int, int, Json]] = field(default_factory=list[tuple[int, int, Json]])
    """With the message's place and the block's."""


def check(messages: list[Json]) -> None:
    """Raises the first call without its answer, or answer without its call."""
    known: set[str] = set()
    open_calls: dict[str, int] = {}
    for turn in _turns(messages):
        if turn.role == "user":
            _check_results(turn, open_calls)
            open_calls = {}
            continue
        for place, index, block in turn.blocks:
            if block["type"] == "tool_use":
                if block["id"] in known:
                    raise invalid(f"messages.{place}.content.{index}: `tool_use` ids must be unique")
                known.add(block["id"])
                open_calls[block["id"]] = place
    if open_calls:
        raise invalid(_unanswered(open_calls))


def _check_results(turn: _Turn, open_calls: dict[str, int]) -> None:
    """The answers come first in the turn; one for each call, and none for another."""
    answered: set[str] = set()
    leading = True
    for place, index, block in turn.blocks:
        leading = leading and block["type"] == "tool_result"
        if block["type"] != "tool_result":
            continue
        call, at = block["tool_use_id"], f"messages.{place}.content.{index}"
        if call not in open_calls:
            raise invalid(
                f"{at}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each `tool_result` block must "
                "have a corresponding `tool_use` block in the previous message."
            )
        if call in answered:
            raise invalid(
                f"{at}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {call}"
            )
        if leading:
            answered.add(call)
    if missing := {call: place for call, place in open_calls.items() if call not in answered}:
        raise invalid(_unanswered(missing))


def _unanswered(calls: dict[str, int]) -> str:
    return (
        f"messages.{next(iter(calls.values()))}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
        "message."
    )


def _turns(messages: list[Json]) -> list[_Turn]:
    turns: list[_Turn] = []
    for place, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if not turns or turns[-1].role != message["role"]:
            turns.append(_Turn(message["role"]))
        turns[-1].blocks += [(place, index, block) for index, block in enumerate(blocks_of(message["content"]))]
    return turns
