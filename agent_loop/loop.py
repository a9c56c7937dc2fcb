"""One run: provision, read the skill, let the model work, check what it made, commit.

    provision_session ─▶ skill ─▶ ┌ model turn ─▶ its tools, together ┐ ─▶ checks ─▶ git_push
                                  └───────────◀───────────────────────┘ ◀── failed ──┘

Every model turn and every tool call is a step of the journal, and events are published from inside steps:
a run that was killed goes on where it stopped and says nothing twice that it had finished saying.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from agent_loop import checks, narration, prompts
from agent_loop.conversation import CUT, GO_ON, answer, calls_of, commit_message, no_vm, opening, session_facts, text
from agent_loop.limits import Budget, Limits, Usage
from agent_loop.model import Message, ModelError
from agent_loop.tools import ToolResult, came_of_it, said, seconds_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent_loop.journal import Journal
    from agent_loop.model import Model
    from agent_loop.tools import McpTools, Secret

Json = dict[str, Any]
Outcome = Literal["done", "failed", "stopped"]
ATTEMPTS = 2  # a model turn whose answer broke off is asked for once more; the SDK retries what never began
DECLINED = "The model declined to go on with this; its last message says why."
PENDING = "provisioning"
POLL_SECONDS = 0.3


class Publish(Protocol):
    """Takes one event. It returns at once; an event that cannot be told is not worth a run."""

    def __call__(self, kind: str, data: Json, /) -> None: ...


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `messages` is the trajectory and, as `history`, where the next run goes on."""

    outcome: Outcome
    reason: str
    turns: int
    usage: Usage
    dollars: float | None
    ms: int
    messages: list[Json]


class _End(Exception):
    """The run is over."""

    def __init__(self, outcome: Outcome, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.outcome: Outcome = outcome
        self.reason = reason
        self.code = code


async def run(
    *,
    idea: str,
    session_key: Secret,
    tools: McpTools,
    model: Model,
    limits: Limits,
    publish: Publish,
    journal: Journal,
    history: list[Json],
    run_id: str = "run",
    clock: Callable[[], float] = time.monotonic,
) -> RunResult:
    """Build `idea` in the session that `session_key` opens. Ends with a result, whatever happened."""
    it = _Run(idea, session_key, tools, model, publish, journal, run_id, clock, Budget(limits, model.id))
    try:
        await it.prepare(history)
        await it.build()
        end = _End("done", "")
    except _End as reached:
        end = reached
    if it.worked:
        await it.commit()
    return await it.finish(end)


@dataclass
class _Run:
    idea: str
    session_key: Secret
    tools: McpTools
    model: Model
    publish: Publish
    journal: Journal
    run_id: str
    clock: Callable[[], float]
    budget: Budget
    system: list[Json] = field(default_factory=list[Json])
    offered: list[Json] = field(default_factory=list[Json])
    messages: list[Json] = field(default_factory=list[Json])
    worked: bool = False
    """Whether a tool was called: only then can there be anything to commit."""
    ms_aside: int = 0

    # The story

    async def prepare(self, history: list[Json]) -> None:
        """Everything that must be true before the model's first turn."""
        await self.journal.step("run started", self._announce)
        session = await self._aside("provision", self._provision)
        if error := session.get("error") or no_vm(session):
            raise _End("failed", error)
        read = await self._aside("skill and tools", self._read)
        if error := read.get("error"):
            raise _End("failed", error)
        self.system, self.offered = prompts.system(read["skill"]), read["tools"]
        self.messages = opening(history, self.idea, session)

    async def build(self) -> None:
        """The model works until it says it has finished; then the host looks for itself."""
        for remaining in range(self.budget.limits.check_rounds, -1, -1):
            await self._converse()
            failed = [check for check in await self._check_all() if not check.ok]
            if not failed:
                return
            if remaining:
                self._say([text(checks.report(failed))])
            else:
                names = ", ".join(check.name for check in failed)
                raise _End("failed", f"The app does not pass its checks ({names}).")

    async def _converse(self) -> None:
        """Model turns and tool calls, until the model ends its turn."""
        while True:
            message = await self._turn()
            if message.content:
                self.messages.append({"role": "assistant", "content": message.content})
            calls = calls_of(message.content)
            match message.stop_reason:
                case "tool_use" if calls:
                    self._say(await self._call_together(calls))
                case "pause_turn":
                    continue  # the model goes on from its own words
                case "max_tokens":
                    self._say([answer(call, CUT) for call in calls] or [text(GO_ON)])
                case "refusal":
                    raise _End("failed", message.explanation or DECLINED, "declined")
                case "model_context_window_exceeded":
                    raise _End("failed", "The conversation no longer fits the model. Start a new session.")
                case _:
                    return

    # The steps

    async def _announce(self) -> Json:
        self.publish("run.started", {"run": self.run_id, "idea": self.idea, "model": self.model.id})
        return {}

    async def _provision(self) -> Json:
        """What the model is told of the session once it is ready, or `error`. It may have been ready for long."""
        deadline = self.clock() + self.budget.limits.provision_seconds
        result = await self._host_call("provision_session", {"wait_seconds": 20})
        while result.ok and result.data.get("state") == PENDING and self.clock() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            result = await self._host_call("get_session", {})
        if result.is_error:
            return {"error": f"The session could not be provisioned. {result.text}"}
        if result.data.get("state") == PENDING:
            return {"error": "The session was not ready in time. Run it again to wait longer."}
        return session_facts(result.data)

    async def _read(self) -> Json:
        try:
            skill, offered = await asyncio.gather(self.tools.skill(), self.tools.list())
        except Exception:  # noqa: BLE001 - whatever the transport raised, the answer is the same
            return {"error": "The server did not give its skill and tools. Is it running? See `mk0r doctor`."}
        return {"skill": skill, "tools": offered}

    async def _turn(self) -> Message:
        if reason := self.budget.spent():
            raise _End("stopped", reason)
        number = self.budget.turns + 1
        told = await self.journal.step(f"model turn {number}", partial(self._ask, number))
        usage = Usage(**told["usage"])
        self.budget.charge(usage, told["ms"])
        if end := told.get("end"):
            raise _End(*end)
        return Message(told["content"], told["stop_reason"], usage, told.get("explanation", ""))

    async def _ask(self, number: int) -> Json:
        began, attempt = self.clock(), 1
        while True:
            self.publish("turn.started", {"turn": number})
            try:
                async with asyncio.timeout(self.budget.seconds_left()):
                    message = await self.model.next_message(
                        system=self.system,
                        tools=self.offered,
                        messages=self.messages,
                        max_tokens=self.budget.room(),
                        on_delta=lambda kind, text: self.publish(kind, {"text": text}),
                    )
            except TimeoutError:
                end = _End("stopped", self.budget.out_of_time())
            except ModelError as error:
                if error.retryable and attempt < ATTEMPTS:
                    attempt += 1
                    continue
                end = _End("failed", str(error))
            else:
                return {**asdict(message), "ms": self._since(began)}
            return {"end": [end.outcome, end.reason], "usage": asdict(Usage()), "ms": self._since(began)}

    async def _call_together(self, calls: list[Json]) -> list[Json]:
        """All calls of one turn at once; the answers in the order of the calls."""
        self.worked = True
        done = await asyncio.gather(
            *(self.journal.step(f"tool {call['name']}", partial(self._call, call)) for call in calls)
        )
        self.budget.ms += max((one["ms"] for one in done), default=0)
        return [one["answer"] for one in done]

    async def _call(self, call: Json) -> Json:
        name, arguments = call["name"], call["input"]
        began = self.clock()
        told = {"id": call["id"], "name": name, "title": narration.title(name, arguments), "summary": said(arguments)}
        self.publish("tool.started", told)
        if name in {tool["name"] for tool in self.offered}:
            seconds = min(seconds_for(arguments), max(1.0, self.budget.seconds_left()))
            result = await self.tools.call(name, arguments, self.session_key, seconds=seconds)
        else:
            offered = ", ".join(tool["name"] for tool in self.offered)
            result = ToolResult.error(f"There is no tool called {name}. The tools are: {offered}.")
        ms = self._since(began)
        came = {"ok": result.ok, "ms": ms, "summary": came_of_it(result), "trouble": narration.trouble(result)}
        self.publish("tool.finished", {"id": call["id"], "name": name, **came})
        return {"answer": answer(call, result.content, is_error=result.is_error), "ms": ms}

    async def _check_all(self) -> list[checks.Check]:
        async def look(check: checks.Look) -> Json:
            began, seen = self.clock(), await check(self._host_call)
            told = {**asdict(seen), "ms": self._since(began)}
            self.publish("check", told)
            return told

        told = await asyncio.gather(
            *(self.journal.step(f"check {check.__name__}", partial(look, check)) for check in checks.ALL)
        )
        self.budget.ms += max(one["ms"] for one in told)
        return [checks.Check(one["name"], one["ok"], one["detail"]) for one in told]

    async def _aside(self, name: str, work: Callable[[], Awaitable[Json]]) -> Json:
        """A step whose time counts for the run and not against its budget."""

        async def timed() -> Json:
            began = self.clock()
            return {"did": await work(), "ms": self._since(began)}

        told = await self.journal.step(name, timed)
        self.ms_aside += told["ms"]
        return told["did"]

    async def commit(self) -> None:
        """Each run that did something ends in a commit and a push, whatever came of it."""

        async def push() -> Json:
            began, message = self.clock(), commit_message(self.idea)
            result = await self._host_call("git_push", {"message": message})
            told = {
                "sha": result.data.get("commit"),
                "message": message,
                "pushed": bool(result.data.get("pushed")),
                "ms": self._since(began),
            }
            self.publish("commit", {**told, "error": result.text} if result.is_error else told)
            return told

        await self._aside("commit", push)

    async def finish(self, end: _End) -> RunResult:
        budget = self.budget
        dollars = None if budget.dollars is None else round(budget.dollars, 6)
        ms = budget.ms + self.ms_aside

        async def announce() -> Json:
            told = {"outcome": end.outcome, "reason": end.reason, "code": end.code, "turns": budget.turns}
            told |= {"tokens": asdict(budget.usage), "cost_usd": dollars, "ms": ms}
            self.publish("run.finished", told)
            return {}

        await self.journal.step("run finished", announce)
        return RunResult(end.outcome, end.reason, budget.turns, budget.usage, dollars, ms, self.messages)

    async def _host_call(self, name: str, arguments: Json) -> ToolResult:
        return await self.tools.call(name, arguments, self.session_key, seconds=seconds_for(arguments))

    def _say(self, content: list[Json]) -> None:
        self.messages.append({"role": "user", "content": content})

    def _since(self, began: float) -> int:
        return round((self.clock() - began) * 1000)
