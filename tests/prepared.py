"""What many tests stand on and none changes, made once a checkout: the sandboxes' template and the vendors' SDKs.

Both are kept between runs, under a name that changes with what they are made from.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from server.local import template
from server.local.home import Home
from server.local.lock import hold
from server.local.node import NodeRuntime, find_node, npm
from server.vm import image

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

Result = TypeVar("Result")
CHECKOUT = Path(__file__).parents[1]
CONTRACT = CHECKOUT / "tests" / "contract"
PREPARED = Home(CHECKOUT / ".prepared")
SHARED = ("node", "template")


def apart(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """The work's result, from an event loop of its own, whether or not the caller is in one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


async def make_template() -> None:
    await template.prepare(PREPARED, lambda _: None)


def link_template(home: Home) -> None:
    """Put the made template into `home`, as hard links: nothing ever writes to a template in place."""
    home.make()
    subprocess.run(["cp", "-al", *(PREPARED.stack / name for name in SHARED), f"{home.stack}/"], check=True)


def remove(home: Home) -> None:
    """All of a home, and of its stack, which for root lies elsewhere."""
    for folder in {home.stack, home.root}:
        subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


async def node_sdks() -> NodeRuntime:
    """Node, with the SDKs of `tests/contract/package.json` installed beside that file."""
    node = find_node()
    PREPARED.make()
    wanted = sha256((CONTRACT / "package-lock.json").read_bytes()).hexdigest()
    stamp = CONTRACT / "node_modules" / ".made-from"
    async with hold(PREPARED.root / "sdks.lock", patience=110):
        if not stamp.exists() or stamp.read_text() != wanted:
            await npm(node, image.NPM_CI[1:], CONTRACT, os.environ, PREPARED.logs / "sdks.log")
            stamp.write_text(wanted)
    return node


def run_node_tests(node: NodeRuntime, script: Path, environment: dict[str, str], *arguments: str) -> Sequence[str]:
    """Run one file of `node:test` tests; gives the names of those that passed. Raises with their output otherwise."""
    found_in = f"{node.node.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(node.node), "--test", "--test-reporter=tap", *arguments, str(script)],
        cwd=CONTRACT,
        env={"PATH": found_in, "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = [line.split(" - ", 1)[1] for line in done.stdout.splitlines() if line.strip().startswith("ok ")]
    assert passed, f"{script.name} holds no test"
    assert "# SKIP" not in done.stdout, done.stdout
    return passed
