"""The VM: an E2B sandbox from our image, through the E2B SDK and nothing else."""

from __future__ import annotations

import posixpath
import shlex
import time
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from server.errors import LegError
from server.legs import Resources
from server.vm.errors import translated
from server.vm.output import Output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from e2b import AsyncSandbox

    from server.settings import Settings

Result = TypeVar("Result")
PREVIEW_PORT = 5173
TIMED_OUT = 124  # what timeout(1) exits with
REQUEST_SECONDS = 30
READ_SECONDS = 60
AT_HAND = 256  # 22 KiB each; whoever was not used for so long is woken by its next call
MOST_READ = 100 * 2**20 + 1  # one more than the largest bundle: what is too large can be told
# Tells the app's first answer without a browser: asks until the page answers, for at most a minute.
WAIT_FOR_APP = (
    "const end=Date.now()+60000;"
    "for(;;){try{const r=await fetch('http://localhost:'+(process.env.PORT||5173));if(r.ok)break}catch{}"
    "if(Date.now()>end)process.exit(1);await new Promise(r=>setTimeout(r,15))}"
)


@dataclass(frozen=True)
class CommandResult:
    """What a command printed, and its exit code."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class _AtHand:
    """A sandbox, and until when E2B keeps it running: a moment of our clock."""

    sandbox: AsyncSandbox
    awake_until: float


class Sandboxes:
    """Opens sandboxes and works in them. `server.vm.leg` makes and removes them."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._open: dict[str, _AtHand] = {}
        self.on_waking: Callable[[str, str], Awaitable[None]] = _nothing
        """Told the app's id and the sandbox's, when a call has opened one that may have slept."""

    async def open(self, sandbox_id: str, *, seconds: float = 0) -> AsyncSandbox:
        """The sandbox, resumed if it slept, and running for its usual time or these seconds, whichever is longer.

        Raises `LegError` when it is gone.
        """
        from e2b import AsyncSandbox

        timeout = max(self._settings.sandbox_timeout_seconds, round(seconds))
        with translated():
            sandbox = await AsyncSandbox.connect(sandbox_id, timeout=timeout, **self.api())
        return self._keep(sandbox, self._clock() + timeout)

    async def wake(self, sandbox_id: str, *, seconds: float = 0) -> AsyncSandbox:
        """`open` it, and see to it that it has what it must not be without."""
        sandbox = await self.open(sandbox_id, seconds=seconds)
        with translated():
            app_id = (await sandbox.get_info()).metadata.get("app", "")
        await self.on_waking(app_id, sandbox_id)
        return sandbox

    def forget(self, sandbox_id: str) -> None:
        """It is gone, or about to be."""
        self._open.pop(sandbox_id, None)

    async def pause(self, sandbox_id: str) -> None:
        with translated():
            await (await self._sandbox(sandbox_id, 0)).pause()

    async def run(
        self,
        sandbox_id: str,
        command: str,
        *,
        cwd: str = "/app",
        seconds: float = 60,
        envs: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run a shell command to its end. A non-zero exit is a result; running out of time is exit code 124."""
        from e2b import CommandExitException, TimeoutException
        from e2b.exceptions import SandboxNotRunningException, SandboxUnreachableException

        async def attempt(sandbox: AsyncSandbox) -> CommandResult:
            out, err = Output(), Output()
            try:
                done = await sandbox.commands.run(
                    command,
                    cwd=cwd,
                    timeout=seconds,
                    user="root",
                    envs=dict(envs or {}),
                    request_timeout=REQUEST_SECONDS,
                    on_stdout=out.hear,
                    on_stderr=err.hear,
                    retain_output=False,
                )
            except CommandExitException as error:
                return CommandResult(error.exit_code, out.text(), err.text())
            except (SandboxNotRunningException, SandboxUnreachableException):
                raise
            except TimeoutException:
                return CommandResult(TIMED_OUT, out.text(), f"{err.text()}stopped after {seconds:g} s")
            return CommandResult(done.exit_code, out.text(), err.text())

        return await self._with(sandbox_id, attempt, seconds + REQUEST_SECONDS)

    async def write(self, sandbox_id: str, files: Mapping[str, str | bytes]) -> None:
        """Write files by absolute path, making their folders."""
        from e2b import FileNotFoundException

        entries: Any = [{"path": path, "data": data} for path, data in files.items()]
        try:
            await self._with(sandbox_id, lambda sandbox: sandbox.files.write_files(entries, user="root"))
        except FileNotFoundException:
            raise _unwritten() from None

    async def read(self, sandbox_id: str, path: str, *, most: int = MOST_READ) -> bytes:
        """The file's first `most` bytes. Raises `FileNotFoundError`."""
        from e2b import FileNotFoundException

        async def attempt(sandbox: AsyncSandbox) -> bytes:
            data = bytearray()
            reader = await sandbox.files.read(path, format="stream", user="root", request_timeout=READ_SECONDS)
            async with reader:
                async for chunk in reader:
                    data += chunk
                    if len(data) >= most:
                        break
            return bytes(data[:most])

        try:
            return await self._with(sandbox_id, attempt)
        except FileNotFoundException:
            raise FileNotFoundError(path) from None

    async def replace_private(self, sandbox_id: str, path: str, text: str) -> None:
        """Put `text` at `path`, mode 0600, whole or not at all, whoever else does the same just now."""
        folder, name = posixpath.split(path)
        fresh = f"{name}.{token_hex(4)}"
        beside, there = shlex.quote(fresh), shlex.quote(name)
        await self._must(sandbox_id, folder, f"umask 077 && : > {beside} && chmod 600 {beside}")
        await self.write(sandbox_id, {posixpath.join(folder, fresh): text})
        # What a writer that died left beside it goes with the next one, once nobody can still be at it.
        stale = f"find . -maxdepth 1 -name {shlex.quote(name + '.????????')} -mmin +5 -delete"
        await self._must(sandbox_id, folder, f"sync {beside} && test ! -d {there} && mv {beside} {there} && {stale}")

    async def holds(self, sandbox_id: str, *paths: str) -> bool:
        """Whether every one of these files is there."""
        for path in paths:
            if not await self._with(sandbox_id, lambda sandbox, path=path: sandbox.files.exists(path, user="root")):
                return False
        return True

    async def answers(self, sandbox_id: str) -> bool:
        """Wait until the app's page answers; False when it does not within a minute."""
        script = f"node --input-type=module -e {shlex.quote(WAIT_FOR_APP)}"
        return (await self.run(sandbox_id, script, seconds=70)).exit_code == 0

    async def _must(self, sandbox_id: str, folder: str, command: str) -> None:
        result = await self.run(sandbox_id, command, cwd=folder)
        if result.exit_code != 0:
            raise _unwritten()

    async def _sandbox(self, sandbox_id: str, seconds: float) -> AsyncSandbox:
        """Awake for at least these seconds more. One that is used does not fall asleep: only one that is idle does."""
        found = self._open.get(sandbox_id)
        left = found.awake_until - self._clock() if found else 0.0
        if found is None or left <= 0:
            return await self.wake(sandbox_id, seconds=seconds)
        if left < max(seconds, self._settings.sandbox_timeout_seconds / 2):
            return await self.open(sandbox_id, seconds=seconds)
        return self._keep(found.sandbox, found.awake_until)

    def _keep(self, sandbox: AsyncSandbox, awake_until: float) -> AsyncSandbox:
        """Have it at hand, and forget the one that was not used for longest when there are too many."""
        self._open.pop(sandbox.sandbox_id, None)
        self._open[sandbox.sandbox_id] = _AtHand(sandbox, awake_until)
        if len(self._open) > AT_HAND:
            del self._open[next(iter(self._open))]
        return sandbox

    async def _with(
        self, sandbox_id: str, action: Callable[[AsyncSandbox], Awaitable[Result]], seconds: float = READ_SECONDS
    ) -> Result:
        """Run `action`, which takes at most `seconds`; a sandbox that fell asleep under us is resumed once."""
        from e2b import SandboxNotFoundException
        from e2b.exceptions import SandboxNotRunningException

        with translated():
            try:
                return await action(await self._sandbox(sandbox_id, seconds))
            except (SandboxNotFoundException, SandboxNotRunningException):
                return await action(await self.wake(sandbox_id, seconds=seconds))

    def remember(self, sandbox: AsyncSandbox) -> Resources:
        """What a session keeps of its sandbox."""
        self._keep(sandbox, self._clock() + self._settings.sandbox_timeout_seconds)
        host = sandbox.get_host(PREVIEW_PORT)
        scheme = "http" if ".localhost" in host else "https"
        return Resources({}, {"sandbox_id": sandbox.sandbox_id, "preview_url": f"{scheme}://{host}"})

    def api(self) -> Any:
        """What every call of the SDK's takes."""
        key = self._settings.e2b_api_key
        options = {
            "api_key": key.reveal() if key else "",
            "api_url": self._settings.e2b_api_url,
            "sandbox_url": self._settings.e2b_sandbox_url,
            "request_timeout": REQUEST_SECONDS,
            "retries": 0,  # ours is the one retry policy
        }
        return {name: value for name, value in options.items() if value is not None}


async def _nothing(*_: str) -> None:
    """Nobody has to be told."""


def _unwritten() -> LegError:
    return LegError(
        "The VM could not write a file.",
        code="vm_write",
        next_action="Check the VM's disk with run_in_vm `df -h`, then provision again.",
        retryable=True,
    )
