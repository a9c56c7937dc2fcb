"""Building templates: each step is really run, in a sandbox of its own, and what is left there is the template."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.core import WireError
from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.record import Record
from server.twins.e2b.steps import BASE, FINALIZE, Failed, Steps
from server.vm import image

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.e2b.bodies import BuildStart
    from server.twins.e2b.logs import Level
    from server.twins.e2b.machine import Machine
    from server.twins.e2b.state import Sandboxes
    from server.twins.e2b.templates import Build

log = logging.getLogger(__name__)

AT_ONCE = 2
PLAIN = f"node:{image.NODE}"
"""What our own image is built on: Node.js and git, and no app."""
OURS = {image.TEMPLATE, "e2bdev/base", "e2bdev/base:latest", PLAIN}
"""Base images that are the prepared one; `e2bdev/base` is what the SDK names where nobody chose."""


@dataclass
class BuildLog:
    entries: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def add(self, level: Level, message: str, step: str = "") -> None:
        entry = {"timestamp": datetime.now(UTC).isoformat(), "level": level, "message": message}
        self.entries.append({**entry, **({"step": step} if step else {})})


class Builder:
    def __init__(self, sandboxes: Sandboxes, uploads: Path) -> None:
        self._sandboxes = sandboxes
        self._uploads = uploads
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._logs: dict[str, BuildLog] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def sweep(self) -> None:
        """End what an earlier twin left half built."""
        for doc in self._sandboxes.records.all("build"):
            if doc["status"] == "building":
                build = self._sandboxes.catalog.build(doc["id"])
                self._fail(build, Failed(FINALIZE, "the build was interrupted"))
                await self._sandboxes.machines.remove(_box(build))

    async def stop(self) -> None:
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def start(self, build: Build, asked: BuildStart) -> None:
        build.status = "building"
        self._sandboxes.catalog.save(build)
        task = self._tasks[build.id] = asyncio.create_task(self._build(build, asked))
        task.add_done_callback(lambda _: self._tasks.pop(build.id, None))

    def log(self, build_id: str) -> list[dict[str, Any]]:
        if (kept := self._logs.get(build_id)) is not None:
            return kept.entries
        try:
            return json.loads((self._sandboxes.images.path(build_id) / "log.json").read_text())
        except OSError:
            return []

    def forget(self, build: Build) -> None:
        if task := self._tasks.get(build.id):
            task.cancel()
        self._logs.pop(build.id, None)
        self._sandboxes.images.remove(build.id)

    async def _build(self, build: Build, asked: BuildStart) -> None:
        told = self._logs[build.id] = BuildLog()
        told.add("info", f"Building template {build.template}/{build.id}")
        machine: Machine | None = None
        try:
            async with self._slots:
                machine = await self._base(build, asked, told)
                steps = Steps(machine, self._uploads, told.add, workdir=build.workdir, envs=build.start_envs)
                for number, step in enumerate(asked.steps, 1):
                    await steps.run(number, len(asked.steps), step)
                build.workdir, build.start_envs = steps.workdir, steps.envs
                await steps.finish(build, asked.startCmd, asked.readyCmd)
                await machine.freeze()
                await self._sandboxes.images.take(build.id, machine.record.id, machine)
            told.add("info", "Build finished, took its files")
            self._sandboxes.catalog.finish(build)
        except Failed as failed:
            self._fail(build, failed, told)
        except (StackError, FileTrouble) as error:
            self._fail(build, Failed(FINALIZE, str(error)), told)
        except asyncio.CancelledError:
            self._fail(build, Failed(FINALIZE, "the build was interrupted"), told)
            raise
        except Exception:
            log.exception("build %s failed", build.id)
            self._fail(build, Failed(FINALIZE, "internal error"), told)
        finally:
            if machine is not None:
                await machine.stop()
            await self._sandboxes.machines.remove(_box(build))
            folder = self._sandboxes.images.path(build.id)
            if folder.exists():
                (folder / "log.json").write_text(json.dumps(told.entries))

    def _fail(self, build: Build, failed: Failed, told: BuildLog | None = None) -> None:
        if told is not None:
            told.add("error", failed.message, failed.step)
        build.status = "error"
        build.reason = {"message": failed.message, "step": failed.step}
        try:
            self._sandboxes.catalog.build(build.id)
        except WireError:
            return  # its template was deleted meanwhile
        self._sandboxes.catalog.save(build)

    async def _base(self, build: Build, asked: BuildStart, told: BuildLog) -> Machine:
        """The sandbox that the steps run in. Raises `Failed`."""
        sandboxes = self._sandboxes
        if not sandboxes.machines.isolated:
            raise Failed(BASE, "templates are built only where sandboxes are isolated by namespaces")
        source, plain = asked.fromTemplate or image.TEMPLATE, False
        if asked.fromTemplate is None:
            named = asked.fromImage or image.TEMPLATE
            if named not in OURS:
                said = f"base image '{named}' cannot be had: this E2B twin builds on the prepared image"
                raise Failed(BASE, f"{said} '{image.TEMPLATE}' and on templates built from it, and pulls no image")
            plain = named == PLAIN
            if named != image.TEMPLATE:
                told.add("warn", f"'{named}' is stood in for by the prepared image '{image.TEMPLATE}'", BASE)
        told.add("info", f"[base] FROM {source}", BASE)
        try:
            _, base = sandboxes.catalog.origin(source)
        except WireError as error:
            raise Failed(BASE, error.body["message"]) from None
        kept = base.id if base is not None else ""
        if base is not None:
            build.workdir, build.start, build.ready = base.workdir, base.start, base.ready
            build.start_envs = {**base.start_envs}
        now = sandboxes.site.clock().isoformat()
        record = Record(_box(build), "", build.template, now, now, start="", door=-1, workdir=build.workdir)
        await sandboxes.machines.make(record.id, bare=bool(kept) or plain)
        if kept:
            await sandboxes.images.lay_home(kept, record.id)
        held = sandboxes.images.path(kept or "none") / "tmp.tar"
        return await sandboxes.machines.start(record, lambda made: sandboxes.images.lay_tmp(held, made))


def _box(build: Build) -> str:
    """The sandbox it is built in."""
    return "b" + build.id.replace("-", "")[:19]
