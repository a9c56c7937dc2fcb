"""Forks a server for each line it reads, everything imported already: a life costs its work and no start-up.

Reads `{"log": PATH, "plan": {...}}`; says `{"pid": N}` for each, and `{"pid": N, "status": CODE}` when it has ended.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from selectors import EVENT_READ, DefaultSelector


def main() -> None:
    from tests.faults import worker

    for heavy in ("dbos", "e2b", "mcp.server", "psycopg", "server.parts", "server.workbench", "croniter"):
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
                pid = _fork(line, worker.main)
                children[fd := os.pidfd_open(pid)] = pid
                selector.register(fd, EVENT_READ)
                _say(pid=pid)


def _fork(line: bytes, live: object) -> int:
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
        live(json.dumps(asked["plan"]))  # type: ignore[operator]
        code = 0
    except BaseException:  # noqa: BLE001 - a child must not return into the parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _say(**told: int) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
