"""One statement on one connection, at libpq level: text results, types and error fields as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import generators
from psycopg.pq import DiagnosticField, ExecStatus

from server.twins.neon import sql_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg.pq.abc import PGresult

ERROR_FIELDS = {
    "message": DiagnosticField.MESSAGE_PRIMARY,
    "code": DiagnosticField.SQLSTATE,
    "detail": DiagnosticField.MESSAGE_DETAIL,
    "hint": DiagnosticField.MESSAGE_HINT,
    "position": DiagnosticField.STATEMENT_POSITION,
    "internalPosition": DiagnosticField.INTERNAL_POSITION,
    "internalQuery": DiagnosticField.INTERNAL_QUERY,
    "severity": DiagnosticField.SEVERITY,
    "where": DiagnosticField.CONTEXT,
    "table": DiagnosticField.TABLE_NAME,
    "column": DiagnosticField.COLUMN_NAME,
    "schema": DiagnosticField.SCHEMA_NAME,
    "dataType": DiagnosticField.DATATYPE_NAME,
    "constraint": DiagnosticField.CONSTRAINT_NAME,
    "file": DiagnosticField.SOURCE_FILE,
    "line": DiagnosticField.SOURCE_LINE,
    "routine": DiagnosticField.SOURCE_FUNCTION,
}
ROWS = (ExecStatus.SINGLE_TUPLE, ExecStatus.TUPLES_OK)
DONE = (ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY, *ROWS)


class QueryError(Exception):
    """`fields` is the body: every field of PostgreSQL's error, null where it has none."""

    def __init__(self, message: str, *, status: int = 400, **fields: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.fields: dict[str, str | None] = {**dict.fromkeys(ERROR_FIELDS), "message": message, **fields}


class ResponseTooLarge(Exception):
    """The rows are more than the answer may hold. The connection is in the middle of them: do not reuse it."""


@dataclass
class Allowance:
    """Bytes of rows an answer may still take."""

    left: int

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise ResponseTooLarge


@dataclass(frozen=True)
class Shape:
    """How rows are wanted: arrays or objects, PostgreSQL's text or JSON values."""

    array: bool
    raw: bool


async def run(
    connection: psycopg.AsyncConnection, query: str, params: Sequence[Any], shape: Shape, allowance: Allowance
) -> dict[str, Any]:
    """The answer to one statement. Raises QueryError and ResponseTooLarge.

    Rows are fetched one by one, so that a huge result is refused before it fills the memory.
    """
    pgconn = connection.pgconn
    pgconn.send_query_params(query.encode(), [sql_text.parameter(each) for each in params])
    pgconn.set_single_row_mode()
    await connection.wait(generators.send(pgconn))
    rows: list[Any] = []
    last: PGresult | None = None
    failure: QueryError | None = None
    while (result := await connection.wait(generators.fetch(pgconn))) is not None:
        if result.status not in DONE:
            failure = failure or _failure(result)
            if result.status != ExecStatus.FATAL_ERROR:  # COPY waits for what this protocol cannot carry
                pgconn.finish()
                break
            continue
        last = result
        rows.extend(_row(result, row, shape, allowance) for row in range(result.ntuples))
    if failure is not None:
        raise failure
    assert last is not None  # noqa: S101 - libpq gives every statement at least one result
    command, _, count = (last.command_status or b"").decode().partition(" ")
    return {
        "fields": [_field(last, column) for column in range(last.nfields)],
        "rows": rows,
        "command": command,
        "rowCount": int(count.split()[-1]) if count and count.split()[-1].isdecimal() else None,
        "rowAsArray": shape.array,
    }


def _failure(result: PGresult) -> QueryError:
    if result.status != ExecStatus.FATAL_ERROR:
        return QueryError("COPY is not supported over HTTP", code="0A000", severity="ERROR")
    found = {name: result.error_field(field) for name, field in ERROR_FIELDS.items()}
    error = QueryError("query failed")
    error.fields |= {name: text.decode(errors="replace") for name, text in found.items() if text is not None}
    return error


def _row(result: PGresult, row: int, shape: Shape, allowance: Allowance) -> Any:
    values: list[Any] = []
    for column in range(result.nfields):
        data = result.get_value(row, column)
        allowance.take(5 if data is None else len(data) + 3)
        text = None if data is None else data.decode(errors="replace")
        values.append(text if text is None or shape.raw else sql_text.value(text, result.ftype(column)))
    if shape.array:
        return values
    return {_name(result, column): each for column, each in enumerate(values)}


def _field(result: PGresult, column: int) -> dict[str, Any]:
    return {
        "name": _name(result, column),
        "dataTypeID": result.ftype(column),
        "tableID": result.ftable(column),
        "columnID": result.ftablecol(column),
        "dataTypeSize": result.fsize(column),
        "dataTypeModifier": result.fmod(column),
        "format": "text",
    }


def _name(result: PGresult, column: int) -> str:
    return (result.fname(column) or b"").decode(errors="replace")
