"""From what the script would say to what this request allows: its tools, its thinking, its format, its limits."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from server.twins.anthropic import tokens
from server.twins.anthropic.asked import Adaptive, BetweenTools, ChooseNone, ChooseTool, CustomTool, Disabled, Enabled
from server.twins.anthropic.improvise import fitting
from server.twins.core import ids

if TYPE_CHECKING:
    from server.twins.anthropic.asked import MessageRequest
    from server.twins.anthropic.conversation import Json
    from server.twins.anthropic.play import Beat


@dataclass(frozen=True)
class Answer:
    """The model's side of one message."""

    blocks: list[Json]
    stop_reason: str
    stop_sequence: str | None = None
    explanation: str | None = None
    """Of a refusal."""
    unfinished: str | None = None
    """The last block's input as far as it came, when it was cut: not yet JSON."""
    output_tokens: int = 0
    thinking_tokens: int = 0


def compose(beat: Beat, asked: MessageRequest) -> Answer:
    """The answer within what was asked. A refusal stays one, unless the request leaves no room for it."""
    answer = Answer(beat.blocks, beat.stop, explanation=beat.explanation or None)
    answer = _with_tools_as_chosen(_in_format(_without_thinking(answer, asked), asked), asked)
    return _counted(_within_max_tokens(_to_stop_sequence(answer, asked.stop_sequences), asked.max_tokens), asked)


def _without_thinking(answer: Answer, asked: MessageRequest) -> Answer:
    if not isinstance(asked.thinking, Disabled | BetweenTools):
        return answer
    return replace(answer, blocks=[block for block in answer.blocks if block["type"] != "thinking"])


def _in_format(answer: Answer, asked: MessageRequest) -> Answer:
    """A last word in the JSON format that was asked for. A tool call is not the last word."""
    wanted = asked.output_config.format if asked.output_config else None
    if wanted is None or answer.stop_reason == "tool_use":
        return answer
    text = json.dumps(fitting(wanted.schema_), ensure_ascii=False)
    thoughts = [block for block in answer.blocks if block["type"] == "thinking"]
    return Answer([*thoughts, {"type": "text", "text": text}], "end_turn")


def _with_tools_as_chosen(answer: Answer, asked: MessageRequest) -> Answer:
    choice = asked.tool_choice
    if choice is None:
        return answer
    calls = [block for block in answer.blocks if block["type"] == "tool_use"]
    others = [block for block in answer.blocks if block["type"] != "tool_use"]
    if isinstance(choice, ChooseNone):
        return replace(answer, blocks=others, stop_reason="end_turn") if calls else answer
    if choice.type != "auto":
        # A forced call is all there is: no words, no thinking come before it.
        others = []
        calls = [call for call in calls if not isinstance(choice, ChooseTool) or call["name"] == choice.name]
        calls = calls or [_improvised(asked, choice.name if isinstance(choice, ChooseTool) else None)]
    if choice.disable_parallel_tool_use:
        calls = calls[:1]
    return replace(answer, blocks=[*others, *calls], stop_reason="tool_use", explanation=None) if calls else answer


def _improvised(asked: MessageRequest, name: str | None) -> Json:
    tool = next(one for one in asked.tools or [] if isinstance(one, CustomTool) and name in (None, one.name))
    schema: dict[str, Any] = tool.input_schema.model_dump(exclude_none=True)
    return {"type": "tool_use", "id": ids.token("toolu_01", 22), "name": tool.name, "input": fitting(schema)}


def _to_stop_sequence(answer: Answer, sequences: tuple[str, ...]) -> Answer:
    """Up to the first of the sequences in what is said; thinking and tool input do not count."""
    for index, block in enumerate(answer.blocks):
        found = [
            (block["text"].find(one), one) for one in sequences if block["type"] == "text" and one in block["text"]
        ]
        if found:
            at, sequence = min(found)
            kept = [*answer.blocks[:index], *([{**block, "text": block["text"][:at]}] if at else [])]
            return Answer(kept, "stop_sequence", stop_sequence=sequence)
    return answer


def _within_max_tokens(answer: Answer, room: int) -> Answer:
    kept: list[Json] = []
    for block in answer.blocks:
        cost = tokens.count_block(block)
        if cost <= room:
            kept.append(block)
            room -= cost
            continue
        cut, unfinished = _cut(block, room)
        return Answer([*kept, *cut], "max_tokens", unfinished=unfinished)
    return replace(answer, blocks=kept)


def _cut(block: Json, room: int) -> tuple[list[Json], str | None]:
    """As much of a block as `room` tokens hold, and a tool's input as text."""
    if block["type"] == "tool_use":
        left = room - tokens.count(block["name"])
        if left <= 0:
            return [], None
        text = "".join(tokens.pieces(json.dumps(block["input"], ensure_ascii=False))[:left])
        return [{**block, "input": from_json(text, allow_partial=True)}], text
    kind = block["type"]
    text = "".join(tokens.pieces(block[kind])[:room])
    return ([{**block, kind: text}] if text else []), None


def _counted(answer: Answer, asked: MessageRequest) -> Answer:
    """Thinking costs what was thought, also where it is not shown."""
    thought = sum(tokens.count_block(block) for block in answer.blocks if block["type"] == "thinking")
    spent = sum(tokens.count_block(block) for block in answer.blocks)
    if answer.unfinished is not None:
        spent += tokens.count(answer.unfinished) - tokens.count_json(answer.blocks[-1]["input"])
    hidden = isinstance(asked.thinking, Enabled | Adaptive) and asked.thinking.display == "omitted"
    blocks = [{**block, "thinking": ""} if hidden and block["type"] == "thinking" else block for block in answer.blocks]
    return replace(answer, blocks=blocks, output_tokens=spent, thinking_tokens=thought)
