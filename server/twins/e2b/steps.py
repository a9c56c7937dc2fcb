"""The steps of a template build: COPY, RUN, WORKDIR, ENV and USER, then the start command until it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
from string import Template
from typing import TYPE_CHECKING, Any

from connectrpc.errors import ConnectError
from e2b.envd.process import process_pb as pb

from server.errors import StackError
from server.twins.e2b import command
from server.twins.e2b.errors import FileTrouble
from server.vm import image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from server.twins.e2b.bodies import Step
    from server.twins.e2b.machine import Machine
    from server.twins.e2b.templates import Build

BASE = "base"
FINALIZE = "finalize"
STEP_LIMIT = 1800.0
READY_LIMIT = 300.0
COPY_LIMIT = 300.0
NO_READY = "sleep 1"
"""The question where a start command came without one."""


READ_ONLY = "/opt/mk0r"
"""What all sandboxes here share: a build may only ask for what is in it already."""


def _is_prepared(path: str) -> bool:
    return posixpath.normpath(path).startswith(f"{READ_ONLY}/")


class Failed(Exception):
    """A build that cannot go on: in which step (its number, `base` or `finalize`), and why."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.message = message


class Steps:
    """One build's steps, each with what the ones before it set."""

    def __init__(
        self, machine: Machine, uploads: Path, tell: Callable[..., None], *, workdir: str, envs: dict[str, str]
    ) -> None:
        self._machine = machine
        self._uploads = uploads
        self._tell = tell
        self.workdir = workdir
        self.envs = {**envs}
        self._step = BASE
        self._label = ""

    async def run(self, number: int, total: int, step: Step) -> None:
        """Raises `Failed`."""
        self._step, self._label = str(number), f"[builder {number}/{total}]"
        words = step.args[0] if step.type == "RUN" and step.args else " ".join(step.args)
        self._tell("info", f"{self._label} {step.type} {words}", self._step)
        one_of = {"COPY": self._copy, "RUN": self._run, "WORKDIR": self._workdir, "ENV": self._env, "USER": self._user}
        if step.type not in one_of or not step.args:
            raise Failed(self._step, f"invalid instruction: {step.type} {' '.join(step.args)}")
        await one_of[step.type](step)

    async def _run(self, step: Step) -> None:
        self._check_user(step.args[1] if len(step.args) > 1 else "")
        if _is_prepared(self.workdir):
            self._say_prepared("its commands ran when the prepared image was made, so this one is not run")
            return
        try:
            status = await command.run(
                self._machine, step.args[0], cwd=self.workdir, envs=self.envs, seconds=STEP_LIMIT, heard=self._heard
            )
        except StackError as error:
            raise Failed(self._step, f"failed to run command '{step.args[0]}': {error.message}") from None
        if status != 0:
            raise Failed(self._step, f"failed to run command '{step.args[0]}': exit status {status}")

    async def _copy(self, step: Step) -> None:
        source, target, user, mode = [*step.args, "", "", ""][:4]
        self._check_user(user.partition(":")[0])
        upload = self._uploads / (step.filesHash or "none")
        if not target or not upload.exists():
            raise Failed(self._step, f"failed to copy '{source}': its files were not uploaded")
        slash = "/" if target.endswith("/") else ""
        there = posixpath.normpath(posixpath.join(self.workdir, target)) + slash
        opened = os.open(upload, os.O_RDONLY | os.O_CLOEXEC)
        try:
            copied = {"source": source, "target": there, "mode": mode, "compare": _is_prepared(there)}
            await self._machine.guest.call("copy_in", given=[opened], seconds=COPY_LIMIT, **copied)
        except FileTrouble as trouble:
            raise Failed(self._step, f"failed to copy '{source}' to '{there}': {trouble}") from None
        finally:
            os.close(opened)
        if _is_prepared(there):
            self._say_prepared("it holds these very files, so nothing was copied")

    def _say_prepared(self, why: str) -> None:
        said = f"{self._label} {READ_ONLY} is the prepared image's own and the same for all sandboxes here: {why}"
        self._tell("warn", said, self._step)

    async def _workdir(self, step: Step) -> None:
        self.workdir = posixpath.normpath(posixpath.join(self.workdir, step.args[0]))
        try:
            with contextlib.suppress(FileExistsError):
                await self._machine.guest.call("make_folder", path=self.workdir)
        except FileTrouble as trouble:
            if trouble.name != "EEXIST":
                raise Failed(self._step, f"failed to make '{self.workdir}': {trouble}") from None

    async def _env(self, step: Step) -> None:
        for name, value in zip(step.args[::2], step.args[1::2], strict=False):
            known = {**self._machine.processes.environment, **self.envs}
            self.envs[name] = Template(value).safe_substitute(known)

    async def _user(self, step: Step) -> None:
        self._check_user(step.args[0])

    def _check_user(self, user: str) -> None:
        if user not in ("", image.USER):
            raise Failed(self._step, f"user '{user}' does not exist: the prepared image has '{image.USER}' alone")

    async def finish(self, build: Build, start: str | None, ready: str | None) -> None:
        """Start what a sandbox of this template starts, and wait until it is ready. Raises `Failed`."""
        self._step, self._label = FINALIZE, "[finalize]"
        if start:
            build.start, build.ready = start, ready or ""
        elif ready:
            build.ready = ready
        started = None
        if start:
            self._tell("info", f"[finalize] Starting: {start}", FINALIZE)
            started = await self._start(build)
        if start or ready:
            await self._wait(build, started)

    async def _start(self, build: Build) -> asyncio.Task[int]:
        first, *rest = "/bin/bash", "-l", "-c", build.start or ""
        config = pb.ProcessConfig(cmd=first, args=rest, cwd=self.workdir, envs=self.envs)
        try:
            process = await self._machine.processes.start(config, tag="start")
        except ConnectError as error:
            raise Failed(FINALIZE, f"failed to run the start command: {error.message}") from None
        queue = process.listen()
        self._machine.processes.follow(process)

        async def hear() -> int:
            while (event := (await queue.get()).event) is not None:
                if event.field == "end":
                    return event.value.exit_code
                if event.field == "data" and event.value.output is not None:
                    self._heard(event.value.output.field, bytes(event.value.output.value))
            return -1

        return asyncio.create_task(hear())

    async def _wait(self, build: Build, started: asyncio.Task[int] | None) -> None:
        question = build.ready or NO_READY
        self._tell("info", f"[finalize] Waiting for template to be ready: {question}", FINALIZE)
        asking = asyncio.create_task(
            command.until_ready(self._machine, question, cwd=self.workdir, envs=self.envs, seconds=READY_LIMIT)
        )
        waiting: set[asyncio.Task[Any]] = {asking, *([started] if started else [])}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if started is not None and started.done() and started.result() != 0 and not asking.done():
                raise Failed(FINALIZE, f"the start command failed: exit status {started.result()}")
            if not await asking:
                raise Failed(FINALIZE, f"the template was not ready within {READY_LIMIT:g} seconds")
        finally:
            for task in waiting:
                task.cancel()
        self._tell("info", "[finalize] Template is ready", FINALIZE)

    def _heard(self, stream: str, data: bytes) -> None:
        for line in data.decode(errors="replace").splitlines():
            if line.strip():
                self._tell("warn" if stream == "stderr" else "info", f"{self._label} [{stream}]: {line}", self._step)
