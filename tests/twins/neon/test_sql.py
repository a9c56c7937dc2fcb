"""SQL over HTTP, on the wire as the driver speaks it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from server.twins.neon import sql_text

if TYPE_CHECKING:
    from tests.twins.neon.conftest import Neon

ERROR_FIELDS = (
    "message code detail hint position internalPosition internalQuery severity where table column schema "
    "dataType constraint file line routine"
)


@pytest.fixture(scope="session")
async def uri(neon: Neon) -> str:
    return await neon.uri()


async def test_rows_are_raw_text_in_arrays_with_their_types(neon: Neon, uri: str) -> None:
    query = "select 1 as n, true as b, null::text as nothing, '{1,2}'::int[] as list, '{\"a\": 1}'::jsonb as doc"
    answer = await neon.sql(uri, {"query": query, "params": []})
    assert answer.headers["access-control-allow-origin"] == "*"
    body = answer.json()
    assert body["rows"] == [["1", "t", None, "{1,2}", '{"a": 1}']]
    assert [(each["name"], each["dataTypeID"]) for each in body["fields"]] == [
        ("n", 23),
        ("b", 16),
        ("nothing", 25),
        ("list", 1007),
        ("doc", 3802),
    ]
    assert body["fields"][0] == {
        "name": "n",
        "dataTypeID": 23,
        "tableID": 0,
        "columnID": 0,
        "dataTypeSize": 4,
        "dataTypeModifier": -1,
        "format": "text",
    }
    assert (body["command"], body["rowCount"], body["rowAsArray"]) == ("SELECT", 1, True)


async def test_without_raw_text_values_are_json_where_json_can_hold_them(neon: Neon, uri: str) -> None:
    query = """select 1 as i, true as b, 1.5::float8 as f, 'nan'::float8 as nan, 9007199254740993 as big,
        1.10::numeric as num, '{"a":[1]}'::jsonb as doc, array[[1,2],[3,null]] as grid,
        array['a"b', 'c,d', null, '', 'NULL'] as words, '[0:1]={t,f}'::bool[] as flags, date '2026-01-31' as day"""
    answer = await neon.sql(uri, {"query": query}, neon_raw_text_output="", neon_array_mode="")
    assert answer.json()["rows"] == [
        {
            "i": 1,
            "b": True,
            "f": 1.5,
            "nan": "NaN",
            "big": "9007199254740993",
            "num": "1.10",
            "doc": {"a": [1]},
            "grid": [[1, 2], [3, None]],
            "words": ['a"b', "c,d", None, "", "NULL"],
            "flags": [True, False],
            "day": "2026-01-31",
        }
    ]


async def test_parameters_of_every_json_kind_arrive(neon: Neon, uri: str) -> None:
    query = "select $1::int, $2::bool, $3::jsonb, $4::text[], $5::text, $6::text, $7::float8[]"
    params: list[Any] = [7, True, {"a": "ü"}, ['q"uo\\te', None, "new\nline"], None, "plain", [[1, 2], [3, 4]]]
    [row] = await neon.rows(uri, query, *params)
    assert row[:3] == ["7", "t", '{"a": "ü"}']
    assert sql_text.value(row[3], 1009) == params[3]
    assert row[4:6] == [None, "plain"]
    assert row[6] == "{{1,2},{3,4}}"


async def test_the_row_count_is_what_was_touched(neon: Neon, uri: str) -> None:
    for query, command, count in (
        ("create table counted (n int)", "CREATE", None),
        ("insert into counted values (1), (2), (3)", "INSERT", 3),
        ("update counted set n = n where n > 1", "UPDATE", 2),
        ("delete from counted", "DELETE", 3),
        ("select * from counted", "SELECT", 0),
        ("", "", None),
    ):
        body = (await neon.sql(uri, {"query": query})).json()
        assert (body["command"], body["rowCount"], body["rows"]) == (command, count, []), query


async def test_a_batch_is_one_transaction_and_its_headers_come_back(neon: Neon, uri: str) -> None:
    batch = {
        "queries": [
            {"query": "select current_setting('transaction_isolation'), current_setting('transaction_read_only')"},
            {"query": "select pg_current_xact_id_if_assigned()::text, $1::int", "params": ["5"]},
        ]
    }
    asked = {
        "neon_batch_isolation_level": "Serializable",
        "neon_batch_read_only": "true",
        "neon_batch_deferrable": "true",
    }
    answer = await neon.sql(uri, batch, **asked)
    assert [each["rows"] for each in answer.json()["results"]] == [[["serializable", "on"]], [[None, "5"]]]
    for name, value in asked.items():
        assert answer.headers[name.replace("_", "-")] == value


async def test_a_batch_that_fails_changes_nothing(neon: Neon, uri: str) -> None:
    await neon.rows(uri, "create table whole (n int primary key)")
    failed = await neon.sql(uri, {"queries": [{"query": "insert into whole values (1)"}] * 2})
    assert (failed.status_code, failed.json()["code"]) == (400, "23505")
    assert await neon.rows(uri, "select count(*) from whole") == [["0"]]
    deferred = "alter table whole add column m int references whole deferrable initially deferred"
    await neon.rows(uri, deferred)
    failed = await neon.sql(uri, {"queries": [{"query": "insert into whole values (1, 9)"}]})
    assert (failed.status_code, failed.json()["code"]) == (400, "23503"), "the commit itself may be what fails"


async def test_an_error_has_all_of_postgresqls_fields(neon: Neon, uri: str) -> None:
    await neon.rows(uri, "create table strict (word text unique)")
    await neon.rows(uri, "insert into strict values ($1)", "once")
    answer = await neon.sql(uri, {"query": "insert into strict values ($1)", "params": ["once"]})
    assert answer.status_code == 400
    body = answer.json()
    assert body.keys() == set(ERROR_FIELDS.split())
    assert (body["code"], body["severity"], body["schema"], body["table"]) == ("23505", "ERROR", "public", "strict")
    assert body["constraint"] == "strict_word_key"
    assert body["detail"] == "Key (word)=(once) already exists."
    assert body["hint"] is None
    wrong = (await neon.sql(uri, {"query": "selec 1"})).json()
    assert (wrong["code"], wrong["position"]) == ("42601", "1")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("not json", "Invalid JSON"),
        ("[]", "body"),
        ({"params": []}, "query"),
        ({"query": 1}, "query"),
        ({"query": "select 1", "params": "no"}, "params"),
        ({"query": "select 1", "params": ["\0"]}, "NUL"),
        ({"queries": {}}, "queries"),
        ({"query": "select 1; select 2"}, "multiple commands"),
        ({"query": "copy (select 1) to stdout"}, "COPY"),
        ({"query": "copy pg_class from stdin"}, "permission denied"),
        (b'{"query": "select $1::text", "params": ["\\ud800"]}', ""),
    ],
)
async def test_what_cannot_be_answered_is_a_400_with_a_message(neon: Neon, uri: str, body: Any, words: str) -> None:
    answer = await neon.sql(uri, body)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert await neon.rows(uri, "select 1") == [["1"]]


async def test_an_unknown_isolation_level_is_refused(neon: Neon, uri: str) -> None:
    answer = await neon.sql(uri, {"queries": []}, neon_batch_isolation_level="Chaos")
    assert (answer.status_code, answer.json()["message"]) == (400, "invalid isolation level")


@pytest.mark.parametrize(
    ("part", "instead", "message"),
    [
        (".*", "", "invalid header: neon-connection-string"),
        ("^postgresql", "mysql", "incorrect scheme"),
        ("/[^/]*$", "", "missing database name"),
        (":npg_[^@]*", "", "missing authentication credentials: required password"),
        ("npg_", "npg_x", "password authentication failed for user"),
        ("neondb_owner", "nobody", "password authentication failed for user"),
    ],
)
async def test_a_login_that_does_not_hold_is_a_400(neon: Neon, uri: str, part: str, instead: str, message: str) -> None:
    answer = await neon.sql(re.sub(part, instead, uri, count=1), {"query": "select 1"})
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert answer.json()["code"] is None


async def test_a_database_that_is_not_there_is_postgresqls_refusal_and_a_500(neon: Neon, uri: str) -> None:
    answer = await neon.sql(uri + "x", {"query": "select 1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "3D000")
    assert "does not exist" in answer.json()["message"]


async def test_the_superuser_is_nobody_here(neon: Neon) -> None:
    password = neon.postgres.password.reveal().replace(" ", "%20")
    answer = await neon.sql(f"postgresql://postgres:{password}@localhost/postgres", {"query": "select 1"})
    assert answer.status_code == 400
    assert "password authentication failed" in answer.json()["message"]


async def test_an_answer_that_is_too_large_is_a_507(neon: Neon, uri: str) -> None:
    answer = await neon.sql(uri, {"query": "select repeat('x', 1000) from generate_series(1, 20000)"})
    assert answer.status_code == 507
    assert await neon.rows(uri, "select 1") == [["1"]]


async def test_a_request_that_is_too_large_is_a_413(neon: Neon, uri: str) -> None:
    answer = await neon.sql(uri, {"query": "select $1", "params": ["x" * 10 * 2**20]})
    assert (answer.status_code, answer.json()["message"]) == (413, "request is too large (max is 10485760 bytes)")


async def test_a_query_nobody_waits_for_is_cancelled(neon: Neon, uri: str) -> None:
    asking = asyncio.create_task(neon.sql(uri, {"query": "select pg_sleep(60) as abandoned"}))
    running = (
        "select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60) as abandoned'"
    )
    async with asyncio.timeout(20):
        while await neon.rows(uri, running) != [["1"]]:
            pass
        asking.cancel()
        while await neon.rows(uri, running) != [["0"]]:
            pass


async def test_only_what_was_asked_for_is_echoed(neon: Neon, uri: str) -> None:
    answer = await neon.sql(uri, {"queries": []}, neon_batch_read_only="false")
    assert "neon-batch-read-only" not in answer.headers
    single = await neon.sql(uri, {"query": "select 1"}, neon_batch_read_only="true")
    assert "neon-batch-read-only" not in single.headers


async def test_a_query_that_takes_too_long_is_ended(neon: Neon, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.twins.neon.sql_http.QUERY_SECONDS", 0.1)
    assert (await neon.sql(uri, {"query": "select pg_sleep(60)"})).status_code == 504
    monkeypatch.undo()
    running = "select count(*) from pg_stat_activity where usename = current_user and query like '%pg_sleep(60)'"
    assert await neon.rows(uri, running) == [["0"]]


async def test_no_state_of_one_request_reaches_the_next(neon: Neon, uri: str) -> None:
    await neon.rows(uri, "set search_path = nowhere")
    await neon.rows(uri, "select pg_advisory_lock(1)")
    await neon.rows(uri, "create temporary table fleeting ()")
    seen = await neon.rows(
        uri,
        "select current_setting('search_path'), to_regclass('pg_temp.fleeting'),"
        " (select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database"
        " where datname = current_database()))",
    )
    assert seen == [['"$user", public', None, "0"]]


async def test_more_requests_than_connections_all_get_an_answer(neon: Neon, uri: str) -> None:
    answers = await asyncio.gather(*(neon.rows(uri, "select pg_sleep(0.01), $1::int", n) for n in range(60)))
    assert [int(rows[0][1]) for rows in answers] == [*range(60)]
    [[connections]] = await neon.rows(uri, "select count(*) from pg_stat_activity where datname = current_database()")
    assert int(connections) <= 16


async def test_a_request_follows_a_restart_of_postgresqls_side(neon: Neon, uri: str) -> None:
    """Every pooled connection dies; the next request opens another instead of failing."""
    await neon.rows(uri, "select 1")
    await neon.rows(
        uri,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = current_user and pid <> pg_backend_pid()",
    )
    assert await neon.rows(uri, "select 1") == [["1"]]


async def test_a_browser_may_ask_first(neon: Neon) -> None:
    answer = await neon.api.options("/sql")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Neon-Connection-String" in answer.headers["access-control-allow-headers"]


async def test_another_method_or_path_is_not_a_query(neon: Neon) -> None:
    for answer in (await neon.api.get("/sql"), await neon.api.post("/other", content=json.dumps({}))):
        assert (answer.status_code, answer.json()["message"]) == (400, "query is not supported")
