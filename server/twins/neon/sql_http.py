"""`POST /sql`: SQL over HTTP, as `neon()` and drizzle's `neon-http` speak it.

Source: `@neondatabase/serverless` and the open source of Neon's proxy (`serverless/sql_over_http`).
A single query is its own transaction; `queries` are one transaction together.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.twins.neon.computes import Refused
from server.twins.neon.pool import Login, Pool, PoolBusy
from server.twins.neon.sql_request import (
    Query,
    RequestTooLarge,
    echoed,
    flag,
    read_begin,
    read_body,
    read_login,
    wrong_password,
)
from server.twins.neon.sql_run import Allowance, QueryError, ResponseTooLarge, Shape, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from starlette.requests import Request

    from server.twins.neon.computes import Computes, Visit

QUERY_SECONDS = 300
RESPONSE_BYTES = 10 * 1024 * 1024
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
PREFLIGHT = {
    **ANY_ORIGIN,
    "Allow": "OPTIONS, POST",
    "Access-Control-Allow-Headers": (
        "Authorization, Neon-Connection-String, Neon-Raw-Text-Output, Neon-Array-Mode, Neon-Pool-Opt-In, "
        "Neon-Batch-Read-Only, Neon-Batch-Isolation-Level, Neon-Batch-Deferrable"
    ),
    "Access-Control-Max-Age": "86400",
}
NO_PERMIT = (
    "Failed to acquire permit to connect to the database. Too many database connection attempts are currently ongoing."
)
REFUSALS = (  # what libpq says when a login is refused; it does not hand on the code
    ("not currently accepting connections", "55000"),
    ("does not exist", "3D000"),
    ("permission denied for database", "42501"),
    ("too many connections", "53300"),
    ("remaining connection slots", "53300"),
)


def sql_routes(pool: Pool, computes: Computes, *, reserved: str) -> list[BaseRoute]:
    """`reserved` is the superuser, who is nobody here."""

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(headers=PREFLIGHT)
        try:
            return await _answer(request, pool, computes, reserved)
        except QueryError as error:
            return JSONResponse(error.fields, error.status, ANY_ORIGIN)
        except (Refused, RequestTooLarge, ResponseTooLarge, TimeoutError, PoolBusy) as error:
            return JSONResponse(QueryError(_said(error)).fields, _status(error), ANY_ORIGIN)

    return [Route("/sql", answer, methods=["POST", "OPTIONS"])]


def _said(error: Exception) -> str:
    match error:
        case ResponseTooLarge():
            return f"response is too large (max is {RESPONSE_BYTES} bytes)"
        case TimeoutError():
            return f"no answer within {QUERY_SECONDS} s"
        case PoolBusy():
            return NO_PERMIT
        case _:
            return str(error)


def _status(error: Exception) -> int:
    if isinstance(error, Refused):
        return error.status
    statuses: dict[type[Exception], int] = {RequestTooLarge: 413, ResponseTooLarge: 507, TimeoutError: 504}
    return statuses.get(type(error), 500)


async def _answer(request: Request, pool: Pool, computes: Computes, reserved: str) -> Response:
    headers = request.headers
    login = read_login(headers.get("neon-connection-string"), reserved)
    body = await read_body(request)
    begin = read_begin(headers)
    shape = Shape(flag(headers, "neon-array-mode"), flag(headers, "neon-raw-text-output"))
    async with computes.visit(login.role, login.database) as visit:
        if isinstance(body, Query):
            work = _single(pool, login, body, shape)
            return _sent(visit, JSONResponse(await _unless_gone(request, work), headers=ANY_ORIGIN))
        work = _batch(pool, login, begin, body.queries, shape)
        results = {"results": await _unless_gone(request, work)}
        return _sent(visit, JSONResponse(results, headers=ANY_ORIGIN | echoed(headers)))


def _sent(visit: Visit, response: Response) -> Response:
    visit.sent += len(response.body)
    return response


async def _unless_gone(request: Request, work: Awaitable[Any]) -> Any:
    """What `work` gives. When the client hangs up first the work is cancelled, and with it the query."""
    working = asyncio.ensure_future(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
        return await working
    except asyncio.CancelledError:
        if not gone.done():
            raise
        raise QueryError("Query cancelled, connection was terminated", code="08P01") from None
    finally:
        working.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _single(pool: Pool, login: Login, query: Query, shape: Shape) -> dict[str, Any]:
    async with _connected(pool, login) as connection:
        return await _run(connection, query, shape, Allowance(RESPONSE_BYTES))


async def _batch(pool: Pool, login: Login, begin: str, queries: list[Query], shape: Shape) -> list[dict[str, Any]]:
    async with _connected(pool, login) as connection:
        return await _run_batch(connection, begin, queries, shape, Allowance(RESPONSE_BYTES))


@asynccontextmanager
async def _connected(pool: Pool, login: Login) -> AsyncGenerator[psycopg.AsyncConnection]:
    """Raises QueryError: with status 500 where PostgreSQL takes no connection, with 400 where it is lost later."""
    entered = False
    try:
        async with pool.connection(login) as connection, asyncio.timeout(QUERY_SECONDS):
            entered = True
            yield connection
    except psycopg.OperationalError as error:
        if entered:
            lost = "the connection to the database was lost"
            raise QueryError(lost, code="08006", severity="FATAL") from None
        raise _refusal(error, login) from None


async def _run(connection: psycopg.AsyncConnection, query: Query, shape: Shape, allowance: Allowance) -> dict[str, Any]:
    array = shape.array if query.array_mode is None else query.array_mode
    return await run(connection, query.query, query.params or [], Shape(array, shape.raw), allowance)


async def _run_batch(
    connection: psycopg.AsyncConnection, begin: str, queries: list[Query], shape: Shape, allowance: Allowance
) -> list[dict[str, Any]]:
    """All or nothing. A connection left inside its transaction is closed by the pool, which undoes it."""
    await run(connection, begin, (), shape, allowance)
    try:
        results = [await _run(connection, query, shape, allowance) for query in queries]
        await run(connection, "COMMIT", (), shape, allowance)
    except QueryError:
        if not connection.closed:
            await run(connection, "ROLLBACK", (), shape, allowance)
        raise
    return results


def _refusal(error: psycopg.OperationalError, login: Login) -> QueryError:
    text = str(error)
    if "password authentication failed" in text or "not permitted to log in" in text:
        return wrong_password(login.role)
    for words, code in REFUSALS:
        if words in text:
            said = re.search(r"FATAL:\s+(.*)", text)
            return QueryError(said[1] if said else words, status=500, code=code, severity="FATAL")
    return QueryError("couldn't connect to compute node", status=500)
