"""From a request to its sandbox: named by the SDK's header or by the host, opened by its token or a signature."""

from __future__ import annotations

import base64
import binascii
import time
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from starlette.requests import Request

from server.errors import StackError
from server.twins.e2b import signature
from server.twins.e2b.errors import NOT_FOUND, NoSandbox, envd_error, proxy_error
from server.twins.e2b.preview import addressed
from server.vm import image

if TYPE_CHECKING:
    from starlette.types import Scope

    from server.twins.e2b.machine import Machine
    from server.twins.e2b.process import Processes
    from server.twins.e2b.signature import Operation
    from server.twins.e2b.state import Sandboxes

UNAUTHORIZED = "unauthorized access, please provide a valid access token or method signing if supported"


class Front:
    """The door of envd. Answers are those of E2B's proxy (no such sandbox) and of envd itself (no such right)."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    def named(self, request: Request) -> str:
        """The sandbox a request is for: the SDK's header says, or the host name."""
        place = addressed(request.scope)
        return request.headers.get("e2b-sandbox-id") or (place[1] if place else "")

    async def admit(self, scope: Scope) -> Machine:
        """The sandbox of a Connect call. Raises `WireError`, for both refusals are plain HTTP."""
        request = Request(scope)
        machine = await self._up(self.named(request), request.headers.get("x-access-token", ""))
        check_user(_basic(request.headers.get("authorization", "")))
        return machine

    async def for_envd(self, request: Request) -> Machine:
        """The sandbox of a call to one of envd's plain routes."""
        return await self._up(self.named(request), request.headers.get("x-access-token", ""))

    async def _up(self, name: str, token: str) -> Machine:
        """A running sandbox; a wrong token brings nothing up."""
        try:
            if not self._sandboxes.opens(name, token):
                raise envd_error(401, UNAUTHORIZED)
            return await self._sandboxes.machine(name)
        except NoSandbox:
            raise proxy_error(name, NOT_FOUND) from None
        except StackError as error:
            raise envd_error(500, error.message) from None

    async def for_rpc(self, ctx: Any) -> Machine:
        """The sandbox of a call that was admitted; looked up anew, for it may have died since."""
        headers = ctx.request_headers
        name = headers.get("e2b-sandbox-id") or headers.get("host", "").partition("-")[2].partition(".")[0]
        try:
            return await self._sandboxes.machine(name)
        except NoSandbox:
            raise ConnectError(Code.UNAVAILABLE, NOT_FOUND) from None
        except StackError as error:
            raise ConnectError(Code.INTERNAL, error.message) from None

    async def processes(self, ctx: Any) -> Processes:
        return (await self.for_rpc(ctx)).processes

    async def for_files(self, request: Request, operation: Operation) -> Machine:
        """The sandbox of a file request: with the token in its header, or a signature in its address."""
        query, token = request.query_params, request.headers.get("x-access-token", "")
        given, expiration = query.get("signature"), query.get("signature_expiration")
        asked: signature.Asked = (query.get("path", ""), operation, query.get("username", ""))

        def signed(secret: str) -> bool:
            return given is not None and signature.fits(given, asked, secret, expiration)

        # A signed address that names no sandbox (the SDK's, where one base address serves all) is found by whose it is.
        name = self.named(request) or self._sandboxes.whose(signed)
        try:
            secret = self._sandboxes.token(name)
            if token and not self._sandboxes.opens(name, token):
                raise envd_error(401, "access token present in header but does not match")
            if not token and secret:
                _check(given, signed(secret), expiration)
            check_user(query.get("username", ""), 401)
            return await self._sandboxes.machine(name)
        except NoSandbox:
            raise proxy_error(name, NOT_FOUND) from None
        except StackError as error:
            raise envd_error(500, error.message) from None


def _check(given: str | None, fits: bool, expiration: str | None) -> None:
    if given is None:
        raise envd_error(401, "missing signature query parameter")
    if not fits:
        raise envd_error(401, "invalid signature")
    if expiration is not None and int(expiration) < time.time():
        raise envd_error(401, "signature is already expired")


def _basic(header: str) -> str:
    """The user an RPC names: `Basic` and `name:` in base64; empty for the default one."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        raise envd_error(401, "invalid authorization header") from None


def check_user(name: str, status: int | None = None) -> None:
    """Our image has one user. Raises what envd answers for any other."""
    if name not in ("", image.USER):
        if status is not None:
            raise envd_error(status, f"error looking up user '{name}': user: unknown user {name}")
        raise envd_error(401, f"invalid username: '{name}'", "unauthenticated")
