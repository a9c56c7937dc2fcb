"""E2B's error bodies: of the control API, of the proxy before the sandboxes, and of envd in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.core import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectrpc.errors import ConnectError

NOT_FOUND = "The sandbox was not found"
PORT_CLOSED = "The sandbox is running but port is not open"
TRAFFIC_HEADER = "e2b-traffic-access-token"


def wire(
    status: int, message: str, error_code: str | None = None, headers: Mapping[str, str] | None = None
) -> WireError:
    """A control or `/files` error: `{"code", "message", "error_code"?}` (E2B's API specification, `Error`)."""
    body: dict[str, Any] = {"code": status, "message": message}
    return WireError(status, {**body, **({"error_code": error_code} if error_code else {})}, headers)


def missing(sandbox_id: str) -> WireError:
    return wire(404, f"Sandbox \"{sandbox_id}\" doesn't exist or you don't have access to it")


def envd_error(status: int, message: str, code: str | int | None = None) -> WireError:
    """envd's own refusal; a Connect service's has its code as a word."""
    return WireError(status, {"code": status if code is None else code, "message": message})


def proxy_error(sandbox: str, message: str) -> WireError:
    """What E2B's proxy says of a sandbox that is gone, or a port nobody listens on; the SDK reads the message."""
    return WireError(502, {"sandboxId": sandbox, "message": message, "code": 502})


class NoSandbox(Exception):
    """There is no running sandbox of this name."""


class Died(StackError):
    """The sandbox is not there any more; the next use brings it up again."""


class FileTrouble(Exception):
    """A file operation failed in the sandbox; `name` is the errno's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


_CONNECT = {
    "ENOENT": "NOT_FOUND",
    "EEXIST": "ALREADY_EXISTS",
    "ENOTDIR": "INVALID_ARGUMENT",
    "EISDIR": "INVALID_ARGUMENT",
    "EINVAL": "INVALID_ARGUMENT",
    "ELOOP": "FAILED_PRECONDITION",
    **dict.fromkeys(("EACCES", "EPERM", "EROFS"), "PERMISSION_DENIED"),
}
_HTTP = {"ENOENT": 404, "EISDIR": 400, "ENOTDIR": 400, "EINVAL": 400, "ENOSPC": 507, "EDQUOT": 507}


def as_connect(trouble: FileTrouble) -> ConnectError:
    from connectrpc.code import Code
    from connectrpc.errors import ConnectError

    return ConnectError(Code[_CONNECT.get(trouble.name, "INTERNAL")], str(trouble))


def as_wire(trouble: FileTrouble, path: str) -> WireError:
    if trouble.name == "ENOENT":
        return wire(404, f"path '{path}' does not exist")
    if trouble.name == "EISDIR":
        return wire(400, f"path '{path}' is a directory")
    if trouble.name in ("ENOSPC", "EDQUOT"):
        return wire(507, "not enough disk space available")
    return wire(_HTTP.get(trouble.name, 500), f"error opening file '{path}': {trouble}")
