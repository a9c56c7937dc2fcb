"""The next beat of a script. Nothing is remembered: the script is played again over what was answered so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.twins.anthropic import script as scripting
from server.twins.anthropic.choose import nearest
from server.twins.anthropic.conversation import Act, Round, acts
from server.twins.core import ids

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.anthropic.conversation import Json, Result
    from server.twins.anthropic.script import Call, Script, Step

REAL = "Set ANTHROPIC_API_KEY and run the same idea again for the real model."
NO_SCRIPT = "No script for this idea: this is a rehearsal. Set ANTHROPIC_API_KEY for any idea."
OPENING = "This is a rehearsal: no model is at work, a script is played through the real tools.\n\n"


@dataclass(frozen=True)
class Beat:
    """One message of the model: its blocks, and why it stops."""

    blocks: list[Json]
    stop: str
    explanation: str = ""
    """Why it declines, when it does."""


def next_beat(messages: list[Json], offered: set[str], shelf: dict[Path, Script]) -> Beat:
    """What the model says now. `offered` names the request's tools."""
    playing, act, choices = _cast(messages, offered, shelf)
    return playing.beat(act) if playing else _decline(_no_script(choices), NO_SCRIPT)


def paused(messages: list[Json], offered: set[str], shelf: dict[Path, Script]) -> bool:
    """Whether the last message is one this model broke off itself, and may go on from."""
    playing, act, _ = _cast(messages, offered, shelf)
    return playing is not None and playing.paused(act)


def _cast(
    messages: list[Json], offered: set[str], shelf: dict[Path, Script]
) -> tuple[_Playing | None, Act, dict[Path, Script]]:
    """Who speaks now, if anyone; the act that is being played; and what could have been chosen."""
    played: set[str] = set()
    *earlier, act = acts(messages) or [Act("")]
    for past in earlier:
        file = _choose(past.idea, _open(shelf, played))
        if file and _Playing(shelf[file], file, offered).finishes(past):
            played.add(shelf[file].title)
    choices = _open(shelf, played)
    file = _choose(act.idea, choices)
    return _Playing(shelf[file], file, offered) if file else None, act, choices


def _open(shelf: dict[Path, Script], played: set[str]) -> dict[Path, Script]:
    """What can be played now: each script once, since a second time would undo its sequels, and in order."""
    return {
        file: script
        for file, script in shelf.items()
        if script.title not in played and (not script.after or script.after in played)
    }


def _choose(idea: str, choices: dict[Path, Script]) -> Path | None:
    script = nearest(idea, choices.values())
    return next((file for file, one in choices.items() if one is script), None)


@dataclass(frozen=True)
class _Place:
    """The step that is next, how many of its calls were made, and what went wrong so that there is none."""

    step: Step | None
    called: int
    wrong: str = ""
    last: Step | None = None
    """The step that was played last."""


@dataclass
class _Playing:
    script: Script
    file: Path
    offered: set[str]
    names: set[str] = field(default_factory=set[str])
    failed: bool = False

    def finishes(self, act: Act) -> bool:
        """Whether the act holds the whole script, and nothing in it went wrong."""
        place = self._follow(act)
        return place.step is None and not place.wrong

    def beat(self, act: Act) -> Beat:
        place = self._follow(act)
        if place.wrong:
            return _decline(place.wrong)
        if place.step is None:
            return _decline(f"The host's checks found something the script has no step for. {REAL}")
        return self._speak(place.step, place.called, first=not act.rounds)

    def paused(self, act: Act) -> bool:
        last = self._follow(act).last
        return last is not None and last.stop == "pause_turn"

    def _follow(self, act: Act) -> _Place:
        """Where the script stands after all that was played.

        A step's calls may have come in several messages, where the host lets one call pass at a time. What was said
        outside the script (a forced call of another tool, say) is passed over.
        """
        remaining = iter(self.script.step)
        step, told = self._next(remaining), Round([])
        last: Step | None = None
        for done in act.rounds:
            if step is None:
                return _Place(None, 0, f"The script is over and has no step for this. {REAL}")
            expected = [call.tool for call in self._calls(step)]
            names = [call["name"] for call in done.calls]
            if expected[len(told.calls) :][: len(names)] != names or bool(names) != bool(expected):
                continue
            told = Round([*told.calls, *done.calls], {**told.results, **done.results})
            if len(told.calls) == len(expected):
                if surprise := self._learn(step, told):
                    return _Place(None, 0, surprise)
                last, step, told = step, self._next(remaining), Round([])
        return _Place(step, len(told.calls), last=last)

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
                surprises.append(_tell(call, result))
        self.names = names
        if not surprises:
            return ""
        return f"Something failed that should not have, and a script cannot think: {'; '.join(surprises)} {REAL}"

    def _speak(self, step: Step, called: int, *, first: bool) -> Beat:
        calls = self._calls(step)
        if missing := sorted({call.tool for call in calls} - self.offered):
            return _decline(f"The script needs tools that are not offered here: {', '.join(missing)}.")
        blocks: list[Json] = []
        if not called:
            blocks += [{"type": "thinking", "thinking": step.think}] if step.think else []
            blocks.append({"type": "text", "text": (OPENING if first else "") + step.say.strip()})
        for call in calls[called:]:
            arguments = scripting.arguments(call, self.file)
            blocks.append({"type": "tool_use", "id": ids.token("toolu_01", 22), "name": call.tool, "input": arguments})
        return Beat(blocks, step.stop or ("tool_use" if calls else "end_turn"))


def _tell(call: Call, result: Result) -> str:
    what = str(call.arguments.get("command") or call.tool).splitlines()[0]
    return f"`{what}` answered: {' '.join(result.complaint.split())[:300]}"


def _decline(text: str, explanation: str = f"The script has no line for this. {REAL}") -> Beat:
    """The API's way to say that the model will not go on."""
    return Beat([{"type": "text", "text": text}], "refusal", explanation)


def _no_script(choices: dict[Path, Script]) -> str:
    ideas = ", ".join(f"“{script.idea}”" for script in choices.values())
    can = f"It can play: {ideas}." if ideas else "There is none left to play here."
    return f"This is a rehearsal: no model is at work, and there is no script for this idea. {can} Nothing was changed."
