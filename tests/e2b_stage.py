"""A stage for the E2B twin's tests: a small template, a twin over HTTP, and the unmodified SDK pointed at it.

`MK0R_LIVE_E2B=1` with `E2B_API_KEY` points the SDK at E2B itself; tests that look behind the twin are skipped then.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from server.local.home import Home
from server.local.identity import sandbox_identity
from server.local.node import find_node
from server.secrets import Secret
from server.twins import e2b
from server.twins.core import Site
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from e2b import AsyncSandbox

KEY = "e2b_" + "0" * 40
LIVE = os.environ.get("MK0R_LIVE_E2B") == "1"
LIVE_KEY = os.environ.get("E2B_API_KEY", "")  # read before the tests hide it from each other

APP = """
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
const server = createServer((request, response) => {
  if (request.url === '/stream') {
    response.write('one')
    const timer = setTimeout(() => response.end('two'), 150)
    response.on('close', () => clearTimeout(timer))
  } else if (request.url === '/echo') {
    request.pipe(response)
  } else {
    response.setHeader('x-app', 'yes')
    response.end(`hello ${request.headers.host} ${request.url}`)
  }
})
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
  const accept = createHash('sha1').update(key).digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n' +
    `Sec-WebSocket-Accept: ${accept}\\r\\n\\r\\n`)
  const text = Buffer.from('from the app')
  socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]))
  socket.on('data', () => {})
  socket.on('error', () => {})
})
server.listen(Number(process.env.PORT || 5173), '127.0.0.1')
"""


def make_template(home: Home) -> None:
    app = home.template / "app"
    (app / "node_modules" / "little").mkdir(parents=True)
    (app / "node_modules" / "little" / "index.js").write_text("module.exports = 'little'\n")
    (app / "dev.mjs").write_text(APP)
    (app / ".gitignore").write_text(".env\n")
    (home.template / "opt" / "browser").mkdir(parents=True)
    (home.template / "opt" / "browser" / "preview.mjs").write_text("console.log('preview')\n")
    for path in (home.template, *home.template.rglob("*")):
        sandbox_identity().own(path)


@dataclass(frozen=True)
class StageHome(Home):
    """A home whose stack the sandboxes' user can reach: pytest's own folders are closed to it."""

    open_stack: Path = field(default_factory=Path)

    @property
    def stack(self) -> Path:
        return self.open_stack


@dataclass
class Stage:
    """A running twin, and the arguments that point the SDK at it."""

    home: Home
    port: int
    admin: str
    key: str = KEY
    service: int = 0
    """The port of a service that is handed in."""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> dict[str, Any]:
        if LIVE:
            return {"api_key": LIVE_KEY}
        return {"api_key": self.key, "api_url": self.base, "sandbox_url": self.base}

    async def create(self, template: str = "mk0r", **arguments: Any) -> AsyncSandbox:
        from e2b import AsyncSandbox

        asked: dict[str, Any] = {"timeout": 600, **self.api, **arguments}
        return await AsyncSandbox.create(template, **asked)

    async def admin_call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One of the twin's own `/_twin/*` routes."""
        headers = {"Authorization": f"Bearer {self.admin}"}
        async with httpx.AsyncClient(trust_env=False, base_url=self.base, timeout=120) as client:
            return await client.request(method, f"/_twin/{path}", headers=headers, json=body)


async def attempt(sandbox: AsyncSandbox, command: str, seconds: float = 20) -> tuple[int, str]:
    """A command's exit code and all its output, whether it failed or not.

    The SDK's own bound is the only one: a call that is cancelled before its first event leaves, on Python 3.11, a task
    of the SDK's whose `ConnectError: Request was cancelled` nobody retrieves, and that hides what really went wrong.
    """
    from e2b import CommandExitException

    try:
        done = await sandbox.commands.run(command, timeout=seconds)
    except CommandExitException as failed:
        return failed.exit_code, failed.stdout + failed.stderr
    return 0, done.stdout + done.stderr


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 15) -> Any:
    """The first truthy answer within the time."""
    end = time.monotonic() + seconds
    while not (answer := await check()):
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.02)
    return answer


@asynccontextmanager
async def staged(home: Home, *, port: int = 0, **parts: Any) -> AsyncGenerator[Stage]:
    """The twin over HTTP while the block runs. The same home again is a restart."""
    sockets = bind(port)
    port = sockets[0].getsockname()[1]
    site = Site("e2b", f"http://127.0.0.1:{port}", home.twins / "e2b", Secret(KEY), Secret("the-admin"))
    given: dict[str, Any] = {"registry": "https://registry.npmjs.org/", "environ": {}, **parts}
    app = e2b.build(site, home=home, node=find_node().root, **given)
    async with serving(app, sockets):
        yield Stage(home, port, "the-admin")


def make_home(root: Path) -> Home:
    """A home in `root` with a small template."""
    import tempfile

    stack = Path(tempfile.mkdtemp(prefix="mk0r-test-")) if os.geteuid() == 0 else root / "stack"
    stack.mkdir(exist_ok=True, parents=True)
    stack.chmod(0o755)
    home = StageHome(root, stack)
    make_template(home)
    return home


def unmake_home(home: Home) -> None:
    subprocess.run(["chmod", "-R", "u+rwX", str(home.stack)], check=False)
    subprocess.run(["rm", "-rf", str(home.stack)], check=False)
