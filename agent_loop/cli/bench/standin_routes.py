"""What the stand-in vendors answer: the least that is valid, by route."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

MOMENT = "2026-01-01T00:00:00Z"
_numbers = count(1)


def _operations(number: int | str, status: str) -> dict[str, Any]:
    begun = ("create_timeline", "start_compute")
    return {"operations": [{"id": f"op-{number}-{action}", "status": status} for action in begun]}


def _finished(path: str, _: bytes) -> Any:
    return _operations(path.split("/")[3].removeprefix("standin-"), "finished")


def _project(_: str, body: bytes) -> Any:
    """Neon's example of the answer has both operations under way."""
    number = next(_numbers)
    uri = f"postgresql://neondb_owner:npg_standin{number}@ep-standin-{number}.us-east-2.aws.neon.tech/neondb"
    project = {"id": f"standin-{number}", "name": json.loads(body)["project"]["name"], "created_at": MOMENT}
    return {
        "project": project,
        **_operations(number, "running"),
        "connection_uris": [{"connection_uri": f"{uri}?sslmode=require"}],
    }


def _repository(_: str, body: bytes) -> Any:
    asked = json.loads(body)
    full = f"mk0r/{asked['name']}"
    named = {"name": asked["name"], "full_name": full, "html_url": f"https://github.com/{full}"}
    return named | {"private": True, "description": asked["description"], "created_at": MOMENT}


def _sandbox(*_: object) -> Any:
    named = {"sandboxID": f"standin{next(_numbers)}", "clientID": "standin", "templateID": "mk0r"}
    return named | {"envdVersion": "0.6.13", "envdAccessToken": "standin", "domain": "e2b.app"}


def _looked_at(path: str, _: bytes) -> Any:
    named = {"sandboxID": path.rpartition("/")[2], "clientID": "standin", "templateID": "mk0r", "envdVersion": "0.6.13"}
    size = {"cpuCount": 2, "memoryMB": 512, "diskSizeMB": 512}
    return {**named, **size, "startedAt": MOMENT, "endAt": MOMENT, "state": "running", "metadata": {}}


def _envelope(flags: int, message: Any) -> bytes:
    """A message of Connect's streams."""
    text = json.dumps(message).encode()
    return bytes([flags]) + len(text).to_bytes(4, "big") + text


_BEGAN, _ENDED = {"start": {"pid": 1}}, {"end": {"exited": True, "status": "exit status 0"}}
RAN = _envelope(0, {"event": _BEGAN}) + _envelope(0, {"event": _ENDED}) + _envelope(2, {})


def _segment(*_: object) -> Any:
    return {"id": f"segment-{next(_numbers)}"}


def _key(*_: object) -> Any:
    return {"id": f"key-{next(_numbers)}", "token": "re_standin"}


# route: method, path, status, body
ROUTES: dict[str, tuple[str, str, int, Any]] = {
    "Neon create": ("POST", r"/neon/projects", 201, _project),
    "Neon operations": ("GET", r"/neon/projects/[^/]+/operations", 200, _finished),
    "Resend segment": ("POST", r"/resend/segments", 201, _segment),
    "Resend key": ("POST", r"/resend/api-keys", 201, _key),
    "GitHub user": ("GET", r"/github/user", 200, {"login": "mk0r"}),
    "GitHub create": ("POST", r"/github/user/repos", 201, _repository),
    "E2B create": ("POST", r"/v2/sandboxes", 201, _sandbox),
    "E2B one": ("GET", r"/sandboxes/[^/]+", 200, _looked_at),
    "E2B connect": ("POST", r"/v2/sandboxes/[^/]+/connect", 200, _sandbox),
    "VM files": ("POST", r"/files", 200, [{"name": "file", "type": "file", "path": "/file"}]),
    "VM command": ("POST", r"/process\.Process/Start", 200, RAN),
    "VM file system": ("POST", r"/filesystem\.Filesystem/.+", 200, {"entry": {"name": "file", "path": "/file"}}),
    # It keeps nothing, so there is nothing to be found.
    "look at Neon": ("GET", r"/neon/projects", 200, {"projects": []}),
    "look at Resend": ("GET", r"/resend/(segments|api-keys)", 200, {"data": [], "has_more": False}),
    "look at E2B": ("GET", r"/v2/sandboxes", 200, []),
    "remove": ("DELETE", r".+", 204, b""),
}
