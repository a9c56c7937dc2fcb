"""Agent runs as durable workflows: the host of the loop, one story in the session's events.

A run is written down before it begins, continues where a killed process stopped, and leaves its
trajectory in the server's books, where the session's next run goes on, on whichever server.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from agent_loop.web.events import UnderWay
from server.errors import BadInput, UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.app import Core

WORKFLOW = "agent_run"
REHEARSAL = "rehearsal"  # the twin's model
ASKED = "asked"  # the code of a run that was stopped because somebody asked for it
FLUSH_SECONDS = 0.1  # what the model says comes in single words; views are told ten times a second


class Runs:
    """Starts, stops and continues runs. Make it before the engine launches: it brings the workflow."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        """The runs of this process that are under way."""
        core.durable.register(WORKFLOW, self._story)

    async def start(self, slug: str, idea: str, *, model: str | None, budget_usd: float | None) -> str:
        """Begin a run and say its id. Raises `UserError` while the session has another."""
        model = self.model(model)
        events = self._core.events.since(slug, 0)
        if run := _open_run(events):
            raise UserError(
                "This session is still at work on an earlier idea.",
                next_action=f"Follow it with `mk0r logs {slug}` and send the next one when {run} has finished.",
                code="busy",
            )
        number = 1 + sum(event.type == "run.requested" for event in events)
        run = f"run-{slug}-{number}"
        told = {"run": run, "number": number, "idea": idea, "model": model, "budget_usd": budget_usd}
        self._core.events.append(slug, "run.requested", told)
        await self._core.durable.start(WORKFLOW, run, slug, told)
        return run

    def model(self, asked: str | None) -> str:
        """The model a run will ask. Raises `BadInput` for one that nobody here can."""
        usual = self._core.settings.model
        if asked and asked != usual and usual == REHEARSAL:
            raise BadInput(
                f"There is no Anthropic credential here, so the model {asked} cannot be asked.",
                next_action="Set ANTHROPIC_API_KEY, or leave the model out to see the rehearsal.",
            )
        return asked or usual

    def last(self, slug: str) -> dict[str, Any] | None:
        """The newest run as it was asked for, with its `outcome`; None where there was none."""
        last: dict[str, Any] | None = None
        for event in self._core.events.since(slug, 0):
            if event.type == "run.requested":
                last = {**event.data, "outcome": None}
            elif event.type == "run.finished" and last is not None:
                last["outcome"] = event.data["outcome"]
        return last

    @property
    def rehearses(self) -> bool:
        """Whether there is no real model here."""
        return self._core.settings.model == REHEARSAL

    async def stop(self, slug: str) -> str | None:
        """Break off the session's run, if it has one, and say which. What it has made stays.

        It is written down before it is done: a process that dies in between finds the run finished, and leaves it.
        """
        run = _open_run(self._core.events.since(slug, 0))
        if run is None:
            return None
        self._finish(slug, run, "stopped", "You stopped it.", ASKED)
        await self._core.durable.cancel(run)
        if task := self._tasks.pop(run, None):
            # The engine would let the step go on that is under way; and it may run it in a thread of its own.
            task.get_loop().call_soon_threadsafe(task.cancel)
        return run

    async def _story(self, slug: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The workflow."""
        from mcp import Client

        from agent_loop import loop
        from agent_loop.limits import Limits
        from agent_loop.model import open_model
        from agent_loop.tools import McpTools

        settings, run = self._core.settings, asked["run"]
        if self._was_stopped(slug, run):
            return {"outcome": "stopped"}
        if task := asyncio.current_task():
            self._tasks[run] = task

        def publish(kind: str, data: dict[str, Any]) -> None:
            if run in self._tasks:  # a stopped run has nothing more to say
                self._core.events.append(slug, kind, {**data, "run": run})

        told = Told(publish)
        model = open_model(
            asked["model"],
            api_key=_revealed(settings.anthropic_api_key),
            auth_token=_revealed(settings.anthropic_auth_token),
            base_url=settings.anthropic_base_url,
        )
        budget = asked["budget_usd"]
        try:
            async with Client(self._core.mcp) as client:
                result = await loop.run(
                    idea=asked["idea"],
                    session_key=self._core.sessions.key_of(slug),
                    tools=McpTools(client),
                    model=model,
                    limits=Limits() if budget is None else Limits(dollars=budget),
                    publish=told,
                    journal=DurableJournal(self._core.durable.step),
                    history=self._history(slug, asked["number"]),
                    run_id=run,
                )
            self._save(slug, asked, result.messages, result.outcome)
        except Exception as error:
            if type(error).__module__.startswith("dbos"):
                raise  # the engine's own: cancelled, or taken over by another process
            logging.getLogger("mk0r").exception("run %s", run)
            told.flush()
            self._finish(slug, run, "failed", "Something of ours went wrong; the server's log has the details.", "")
            return {"outcome": "failed"}
        finally:
            told.flush()
            self._tasks.pop(run, None)
            await model.close()
        return {"outcome": result.outcome}

    def _finish(self, slug: str, run: str, outcome: str, reason: str, code: str) -> None:
        told: dict[str, Any] = {"run": run, "outcome": outcome, "reason": reason, "code": code}
        self._core.events.append(slug, "run.finished", {**told, "turns": 0, "tokens": {}, "ms": 0})

    def _was_stopped(self, slug: str, run: str) -> bool:
        told = self._core.events.since(slug, 0)
        return any(
            event.type == "run.finished" and event.data.get("run") == run and event.data.get("code") == ASKED
            for event in told
        )

    def _history(self, slug: str, number: int) -> list[dict[str, Any]]:
        """The conversation up to this run: the newest earlier trajectory holds all before it."""
        earlier = self._core.books.trajectories.newest(slug, before=number)
        return earlier["messages"] if earlier else []

    def _save(self, slug: str, asked: dict[str, Any], messages: list[dict[str, Any]], outcome: str) -> None:
        told = {**asked, "outcome": outcome, "messages": messages}
        self._core.books.trajectories.save(slug, asked["number"], told)


class DurableJournal:
    """The loop's journal on the durable engine: each step runs once over the life of the run."""

    def __init__(self, step: Callable[..., Awaitable[Any]]) -> None:
        self._step = step

    async def step(self, name: str, work: Callable[[], Awaitable[Any]], /) -> Any:
        async def once() -> Any:  # the engine asks for a coroutine function, and takes no partial for one
            return await work()

        return await self._step(name, once)


class Told:
    """Publishes a run's events; what the model says piece by piece is gathered for a moment first."""

    def __init__(self, publish: Callable[[str, dict[str, Any]], object]) -> None:
        self._publish = publish
        self._kind = ""
        self._pieces: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, kind: str, data: dict[str, Any], /) -> None:
        if kind not in ("text", "thinking"):
            self.flush()
            self._publish(kind, data)
            return
        if kind != self._kind:
            self.flush()
        self._kind = kind
        self._pieces.append(data["text"])
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pieces:
            text, self._pieces = "".join(self._pieces), []
            self._publish(self._kind, {"text": text})


def _open_run(events: list[Any]) -> str | None:
    under_way = UnderWay()
    under_way.see(events)
    return under_way.run


def _revealed(secret: Any) -> str | None:
    return secret.reveal() if secret else None
