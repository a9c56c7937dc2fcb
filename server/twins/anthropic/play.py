"""The next beat of a script. Nothing is remembered: the script is played again over what was answered so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.twins.anthropic import script as scripting
from server.twins.anthropic.choose import nearest
from server.twins.anthropic.conversation import Act, acts
from server.twins.core import ids

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.anthropic.conversation import Json, Round
    from server.twins.anthropic.script import Call, Script, Step

REAL = "Set ANTHROPIC_API_KEY and run the same idea again for the real model."
OPENING = "This is a rehearsal: no model is at work, a script is played through the real tools.\n\n"


@dataclass(frozen=True)
class Beat:
    """One message of the model: its blocks, and why it stops."""

    blocks: list[Json]
    stop: str


def next_beat(messages: list[Json], offered: set[str], shelf: dict[Path, Script]) -> Beat:
    """What the model says now. `offered` names the request's tools."""
    told = acts(messages)
    file = _choose(told, shelf)
    if not told or file is None:
        return _decline(_no_script(shelf.values()))
    return _Playing(shelf[file], file, offered).beat(told[-1])


def _choose(told: list[Act], shelf: dict[Path, Script]) -> Path | None:
    """The script of the last act. A sequel is a choice only after what it follows was played."""
    played: set[str] = set()
    chosen: Path | None = None
    for act in told:
        open_now = {file: script for file, script in shelf.items() if not script.after or script.after in played}
        script = nearest(act.idea, open_now.values())
        chosen = next((file for file, one in open_now.items() if one is script), None)
        if script and act.rounds:
            played.add(script.title)
    return chosen


@dataclass
class _Playing:
    script: Script
    file: Path
    offered: set[str]
    names: set[str] = field(default_factory=set[str])
    failed: bool = False

    def beat(self, act: Act) -> Beat:
        remaining = iter(self.script.step)
        for done in act.rounds:
            step = self._next(remaining)
            if step is None:
                return _decline(f"The script is over and has no step for this. {REAL}")
            if surprise := self._learn(step, done):
                return _decline(surprise)
        step = self._next(remaining)
        if step is None:
            return _decline(f"The host's checks found something the script has no step for. {REAL}")
        return self._speak(step, first=not act.rounds)

    def _next(self, remaining: Any) -> Step | None:
        return next((step for step in remaining if self._fits(step)), None)

    def _fits(self, step: Step) -> bool:
        if not set(step.needs) <= self.names or (step.lacks and set(step.lacks) <= self.names):
            return False
        return not step.when or (step.when == "failed") == self.failed

    def _calls(self, step: Step) -> list[Call]:
        return [call for call in step.call if set(call.needs) <= self.names]

    def _learn(self, step: Step, done: Round) -> str:
        """Take in what a step came to. Says what was not foreseen; empty when all was."""
        self.failed, surprises = False, list[str]()
        names = set(self.names)
        for place, call in enumerate(self._calls(step)):
            result = done.result(place)
            self.failed |= result.failed
            if call.tool == "get_env":
                names |= result.names()
            if result.failed and call.expect == "works":
                surprises.append(_tell(call, result.text))
        self.names = names
        if not surprises:
            return ""
        return f"Something failed that should not have, and a script cannot think: {'; '.join(surprises)} {REAL}"

    def _speak(self, step: Step, *, first: bool) -> Beat:
        calls = self._calls(step)
        if missing := sorted({call.tool for call in calls} - self.offered):
            return _decline(f"The script needs tools that are not offered here: {', '.join(missing)}.")
        blocks: list[Json] = [{"type": "thinking", "thinking": step.think}] if step.think else []
        blocks.append({"type": "text", "text": (OPENING if first else "") + step.say.strip()})
        for call in calls:
            arguments = scripting.arguments(call, self.file)
            blocks.append({"type": "tool_use", "id": ids.token("toolu_01", 22), "name": call.tool, "input": arguments})
        return Beat(blocks, step.stop or ("tool_use" if calls else "end_turn"))


def _tell(call: Call, result: str) -> str:
    what = call.arguments.get("command") or call.tool
    return f"`{what}` answered: {' '.join(result.split())[:300]}"


def _decline(text: str) -> Beat:
    """The API's way to say that the model will not go on."""
    return Beat([{"type": "text", "text": text}], "refusal")


def _no_script(shelf: Any) -> str:
    titles = [f"“{script.idea}”" for script in shelf if not script.after]
    playable = f"It can play: {', '.join(titles)}." if titles else "It has no scripts here."
    return (
        "This is a rehearsal: no model is at work, and there is no script for this idea. "
        f"{playable} Nothing was changed. {REAL}"
    )
