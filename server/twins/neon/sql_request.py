"""What `POST /sql` is asked: who (a header), how (headers), and what (the body)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag, TypeAdapter, ValidationError

from server.secrets import Secret
from server.twins.neon.pool import Login
from server.twins.neon.sql_run import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

REQUEST_BYTES = 10 * 1024 * 1024
ISOLATION = {
    "ReadUncommitted": "READ UNCOMMITTED",
    "ReadCommitted": "READ COMMITTED",
    "RepeatableRead": "REPEATABLE READ",
    "Serializable": "SERIALIZABLE",
}


class RequestTooLarge(Exception):
    def __init__(self) -> None:
        super().__init__(f"request is too large (max is {REQUEST_BYTES} bytes)")


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character is not possible here")
    return text


def _parameter(value: Any) -> Any:
    return _without_nul(value) if isinstance(value, str) else value


class Query(BaseModel):
    query: Annotated[str, AfterValidator(_without_nul)]
    params: list[Annotated[Any, AfterValidator(_parameter)]] | None = None
    array_mode: bool | None = Field(None, alias="arrayMode")


class Batch(BaseModel):
    queries: list[Query]


def _kind(body: Any) -> str:
    return "batch" if isinstance(body, dict) and "query" not in body and "queries" in body else "single"


_BODY: TypeAdapter[Query | Batch] = TypeAdapter(
    Annotated[Annotated[Query, Tag("single")] | Annotated[Batch, Tag("batch")], Discriminator(_kind)]
)


async def read_body(request: Request) -> Query | Batch:
    """JSON whatever the content type says: the driver names none, so `fetch` says text/plain."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > REQUEST_BYTES:
            raise RequestTooLarge
    try:
        return _BODY.validate_json(bytes(data))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise QueryError(f"could not parse the HTTP request body: {field or 'body'}: {first['msg']}") from None


def read_login(text: str | None, reserved: str) -> Login:
    """Who, from the `Neon-Connection-String` header; host and port do not matter, there is one cluster."""
    if not text:
        raise QueryError("invalid header: neon-connection-string")
    try:
        url = urlsplit(text)
        role, password, database = (unquote(part or "") for part in (url.username, url.password, url.path[1:]))
        host = url.hostname
    except ValueError:
        raise QueryError("invalid connection string") from None
    if url.scheme not in ("postgres", "postgresql"):
        raise QueryError("incorrect scheme")
    for part, missing in (
        (host, "hostname"),
        (role, "username"),
        (password, "authentication credentials: required password"),
        (database, "database name"),
    ):
        if not part:
            raise QueryError(f"missing {missing}")
    if "\0" in role + password + database:
        raise QueryError("invalid connection string")
    if role == reserved:
        raise wrong_password(role)
    return Login(role, database, Secret(password))


def read_begin(headers: Mapping[str, str]) -> str:
    words = ["BEGIN"]
    level = headers.get("neon-batch-isolation-level")
    if level is not None:
        if level not in ISOLATION:
            raise QueryError("invalid isolation level")
        words.append(f"ISOLATION LEVEL {ISOLATION[level]}")
    if flag(headers, "neon-batch-read-only"):
        words.append("READ ONLY")
    if flag(headers, "neon-batch-deferrable"):
        words.append("DEFERRABLE")
    return " ".join(words)


def echoed(headers: Mapping[str, str]) -> dict[str, str]:
    """What a batch's answer repeats of how it was asked for."""
    flags = ("neon-batch-read-only", "neon-batch-deferrable")
    told = {name: "true" for name in flags if flag(headers, name)}
    level = headers.get("neon-batch-isolation-level")
    return told | ({"neon-batch-isolation-level": level} if level else {})


def flag(headers: Mapping[str, str], name: str) -> bool:
    return headers.get(name) == "true"


def wrong_password(role: str) -> QueryError:
    """Neon's proxy says this itself, before there is a PostgreSQL to name a code."""
    return QueryError(f"password authentication failed for user '{role}'")
