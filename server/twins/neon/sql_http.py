"""`POST /sql`: SQL over HTTP, as `neon()` and drizzle's `neon-http` speak it.

Source: `@neondatabase/serverless` and the open source of Neon's proxy (`serverless/sql_over_http`).
A single query is its own transaction; `queries` are one transaction together.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import psycopg
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.twins.neon.pool import Login, Pool, PoolBusy
from server.twins.neon.sql_request import (
    BATCH_HEADERS,
    Query,
    flag,
    read_begin,
    read_body,
    read_login,
    wrong_password,
)
from server.twins.neon.sql_run import Allowance, QueryError, ResponseTooLarge, Shape, run

if TYPE_CHECKING:
    from starlette.requests import Request

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
REFUSALS = (  # what libpq says when a login is refused; it does not hand on the code
    ("password authentication failed", "28P01"),
    ("not permitted to log in", "28000"),
    ("not currently accepting connections", "3D000"),
    ("does not exist", "3D000"),
    ("permission denied for database", "42501"),
    ("too many connections", "53300"),
    ("remaining connection slots", "53300"),
)


def sql_routes(pool: Pool, *, reserved: str) -> list[BaseRoute]:
    """`reserved` is the superuser, who is nobody here."""

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(headers=PREFLIGHT)
        try:
            return await _answer(request, pool, reserved)
        except QueryError as error:
            return JSONResponse(error.fields, 400, ANY_ORIGIN)
        except ResponseTooLarge:
            message = f"response is too large (max is {RESPONSE_BYTES} bytes)"
            return JSONResponse({"message": message}, 507, ANY_ORIGIN)
        except TimeoutError:
            return JSONResponse({"message": f"no answer within {QUERY_SECONDS} s"}, 504, ANY_ORIGIN)
        except PoolBusy:
            return JSONResponse({"message": "too many connections for this role"}, 503, ANY_ORIGIN)

    return [Route("/sql", answer, methods=["POST", "OPTIONS"])]


async def _answer(request: Request, pool: Pool, reserved: str) -> Response:
    headers = request.headers
    login = read_login(headers.get("neon-connection-string"), reserved)
    body = await read_body(request)
    begin = read_begin(headers)
    shape = Shape(flag(headers, "neon-array-mode"), flag(headers, "neon-raw-text-output"))
    allowance = Allowance(RESPONSE_BYTES)
    try:
        async with pool.connection(login) as connection, asyncio.timeout(QUERY_SECONDS):
            if isinstance(body, Query):
                result = await _run(connection, body, shape, allowance)
                return JSONResponse(result, headers=ANY_ORIGIN)
            results = await _run_batch(connection, begin, body.queries, shape, allowance)
    except psycopg.OperationalError as error:
        raise _refusal(error, login) from None
    echoed = {name: headers[name] for name in BATCH_HEADERS if name in headers}
    return JSONResponse({"results": results}, headers=ANY_ORIGIN | echoed)


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
    for words, code in REFUSALS:
        if words in text:
            if code.startswith("28"):
                return wrong_password(login.role)
            said = re.search(r"FATAL:\s+(.*)", text)
            return QueryError(said[1] if said else words, code=code, severity="FATAL")
    return QueryError("the connection to the database was lost", code="08006", severity="FATAL")
