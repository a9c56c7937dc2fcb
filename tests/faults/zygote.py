"""Forks a server for each line it reads, everything imported already: a life costs its work and no start-up.

Reads `{"log": PATH, "plan": {...}}` for a life of `worker`, or `{"log": PATH, "serve": {"home", "port", "environ"}}`
for a whole `mk0r serve`; says `{"pid": N}` for each, and `{"pid": N, "status": CODE}` when it has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from tests.faults import worker

LIBRARIES = ("dbos", "e2b", "mcp.server", "mcp.client", "psycopg", "croniter", "anthropic")
OURS = ("server.parts", "server.workbench", "agent_loop.web.serving", "agent_loop.web.runs", "agent_loop.loop")


def main() -> None:
    for heavy in LIBRARIES + OURS:
        try:
            __import__(heavy)
        except ImportError:
            continue
    children: dict[int, int] = {}  # pidfd to pid
    selector = DefaultSelector()
    selector.register(sys.stdin.fileno(), EVENT_READ)
    buffer = b""
    while True:
        for key, _ in selector.select():
            if key.fd != sys.stdin.fileno():
                selector.unregister(key.fd)
                _, status = os.waitpid(children[key.fd], 0)
                _say(pid=children.pop(key.fd), status=os.waitstatus_to_exitcode(status))
                os.close(key.fd)
                continue
            read = os.read(key.fd, 1 << 16)
            if not read:
                return
            buffer += read
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                pid = _fork(line)
                children[fd := os.pidfd_open(pid)] = pid
                selector.register(fd, EVENT_READ)
                _say(pid=pid)


def _fork(line: bytes) -> int:
    pid = os.fork()
    if pid:
        return pid
    asked = json.loads(line)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 1
    try:
        code = _serve(**asked["serve"]) if "serve" in asked else worker.main(json.dumps(asked["plan"]))
    except BaseException:  # noqa: BLE001 - a child must not return into the parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _serve(home: str, port: int, environ: dict[str, str]) -> int:
    """What `mk0r serve` does, in an environment of its own."""
    from agent_loop.web.serving import serve
    from server import log
    from server.local.home import Home

    os.environ.clear()
    os.environ.update(environ)
    log.set_up(list)
    return asyncio.run(serve(Home(Path(home)), environ=os.environ, announce=print, port=port))


def _say(**told: int) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
