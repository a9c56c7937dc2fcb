"""The PostHog twin's queries: HogQL over events as PostHog's documentation asks, and a clear no to the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.twins.posthog.stage import GROUP, an_event

if TYPE_CHECKING:
    from tests.twins.posthog.stage import Doc, Stage


def event(name: str, distinct_id: str, timestamp: str, **properties: Any) -> Doc:
    told = {"$groups": {"app": GROUP}, **properties}
    return {"event": name, "distinct_id": distinct_id, "timestamp": timestamp, "properties": told}


@pytest.fixture
async def week(posthog: Stage) -> Stage:
    """A few days of two apps."""
    await posthog.capture(
        event("opened", "ann", "2026-11-20T09:30:00Z", tab="home", size=5, new=True, **{"$session_id": "s1"}),
        event("opened", "bob", "2026-11-21T10:00:00Z", tab="Home", size=7, new=False, **{"$session_id": "s2"}),
        event("saved", "ann", "2026-11-21T11:15:30Z", tab="list", size="12", **{"$set": {"email": "ann@x.io"}}),
        event("saved", "ann", "2026-11-22T23:59:59.5Z", nested={"a": {"b": "deep"}}, **{"$session_id": "s1"}),
        event("opened", "eve", "2026-11-22T12:00:00Z", tab="home", **{"$groups": {"app": "mk0r-other"}}),
    )
    told: Doc = {"$group_type": "app", "$group_key": GROUP, "$group_set": {"name": "My app"}}
    await posthog.capture(event("$groupidentify", "p", "2026-10-01T00:00:00Z", **told))
    return posthog


async def test_a_group_asks_for_its_own_events(week: Stage) -> None:
    found = await week.query(
        f"select event, count() from events where $group_0 = '{GROUP}' and event != '$groupidentify' "
        "group by event order by event"
    )
    assert found["results"] == [["opened", 2], ["saved", 2]]
    assert found["columns"] == ["event", "count()"]
    assert found["types"] == [["event", "String"], ["count()", "UInt64"]]
    assert (found["hasMore"], found["limit"], found["offset"], found["is_cached"]) == (False, 100, 0, False)
    assert found["hogql"] == (
        f"SELECT event, count() FROM events WHERE and(equals($group_0, '{GROUP}'), notEquals(event, '$groupidentify')) "
        "GROUP BY event ORDER BY event ASC LIMIT 100"
    )


async def test_days_are_counted(week: Stage) -> None:
    by_day = "select toDate(timestamp) as day, count() as n from events where timestamp > now() - interval 7 day"
    assert await week.rows(f"{by_day} group by day order by day desc limit 2") == [["2026-11-22", 2], ["2026-11-21", 2]]
    assert await week.rows("select count() from events where timestamp >= toStartOfDay(now() - INTERVAL 2 DAY)") == [
        [4]
    ]
    assert await week.rows("select count() from events where timestamp > '2026-11-21T11:00:00Z'") == [[3]]
    assert await week.rows("select count() from events where toDate(timestamp) = '2026-11-21'") == [[2]]
    assert await week.rows("select count() from events where timestamp between '2026-11-20' and '2026-11-21'") == [[1]]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("properties.tab", "home"),
        ("properties['tab']", "home"),
        ("properties.size", 5),
        ("properties.new", True),
        ("properties.missing", None),
        ("properties.$groups.app", GROUP),
        ("person.properties.email", "ann@x.io"),
        ("group_0.properties.name", "My app"),
        ("$session_id", "s1"),
        ("timestamp", "2026-11-20T09:30:00.000000Z"),
        ("toStartOfHour(timestamp)", "2026-11-20T09:00:00Z"),
        ("toStartOfDay(timestamp)", "2026-11-20T00:00:00Z"),
        ("toStartOfWeek(timestamp)", "2026-11-15"),
        ("toStartOfMonth(timestamp)", "2026-11-01"),
        ("toStartOfInterval(timestamp, interval 15 minute)", "2026-11-20T09:30:00Z"),
        ("dateTrunc('month', timestamp)", "2026-11-01T00:00:00Z"),
        ("toHour(timestamp)", 9),
        ("toDayOfWeek(timestamp)", 5),
        ("formatDateTime(timestamp, '%Y/%m/%d %H:%i')", "2026/11/20 09:30"),
        ("dateDiff('day', timestamp, now())", 3),
        ("dateAdd('month', 1, timestamp)", "2026-12-20T09:30:00.000000Z"),
        ("toUnixTimestamp(timestamp)", 1795167000),
        ("upper(event) || '-' || distinct_id", "OPENED-ann"),
        ("if(properties.size > 4, 'big', 'small')", "big"),
        ("properties.size > 6 ? 'big' : 'small'", "small"),
        ("multiIf(event = 'saved', 1, event = 'opened', 2, 3)", 2),
        ("case event when 'opened' then 'o' else 'x' end", "o"),
        ("case when properties.tab is null then 0 else 1 end", 1),
        ("coalesce(properties.missing, 'none')", "none"),
        ("properties.missing ?? 'none'", "none"),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("7 % 4", 3),
        ("-2 + 5", 3),
        ("round(10 / 4, 1)", 2.5),
        ("toString(properties.size)", "5"),
        ("length(event)", 6),
        ("splitByChar('e', event)", ["op", "n", "d"]),
        ("JSONExtractString(properties, 'tab')", "home"),
        ("substring(event, 1, 4)", "open"),
        ("replaceAll(event, 'ed', '')", "open"),
        ("lower('ÄB')", "Äb"),
        ("'it''s \\'quoted\\''", "it's 'quoted'"),
        ("greatest(1, 3, 2)", 3),
        ("event like 'op%'", 1),
        ("event LIKE 'OP%'", 0),
        ("event ilike 'OP%'", 1),
        ("event =~ '^o.*d$'", 1),
        ("event in ('saved', 'opened')", 1),
        ("event not in ['saved']", 1),
        ("not (event = 'opened')", 0),
        ("properties.missing = 'x'", 0),
        ("properties.missing != 'x'", 1),
        ("properties.new = true", 1),
        ("properties.new = 'true'", 1),
        ("properties.size = '5'", 1),
    ],
)
async def test_an_expression(week: Stage, expression: str, value: Any) -> None:
    (row,) = await week.rows(
        f"select {expression} as found from events where distinct_id = 'ann' order by timestamp limit 1 -- the first"
    )
    assert row == [value]


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [
        ("count()", 4),
        ("count(*)", 4),
        ("count(properties.tab)", 3),
        ("count(distinct distinct_id)", 2),
        ("uniq(distinct_id)", 2),
        ("countIf(event = 'saved')", 2),
        ("sum(properties.size)", 24),
        ("sumIf(properties.size, event = 'opened')", 12),
        ("avg(properties.size)", 8),
        ("median(properties.size)", 7),
        ("quantile(0.5)(properties.size)", 7),
        ("min(timestamp)", "2026-11-20T09:30:00.000000Z"),
        ("max(timestamp)", "2026-11-22T23:59:59.500000Z"),
        ("argMax(event, timestamp)", "saved"),
        ("argMin(distinct_id, timestamp)", "ann"),
        ("count() / 2", 2),
        ("uniqIf(distinct_id, event = 'saved')", 1),
    ],
)
async def test_an_aggregate(week: Stage, aggregate: str, value: Any) -> None:
    where = f"where $group_0 = '{GROUP}' and timestamp > '2026-11-01'"
    ((found,),) = await week.rows(f"select {aggregate} from events {where}")
    assert found == value


async def test_arrays_are_gathered(week: Stage) -> None:
    ((found,),) = await week.rows("select groupUniqArray(event) from events where $group_0 = 'mk0r-other'")
    assert found == ["opened"]


async def test_having_distinct_order_limit_and_offset(week: Stage) -> None:
    often = "select distinct_id, count() as n from events group by distinct_id having n > 1"
    assert await week.rows(often) == [["ann", 3]]
    assert await week.rows("select distinct event from events order by 1 desc") == [
        ["saved"],
        ["opened"],
        ["$groupidentify"],
    ]
    page = await week.query("select uuid from events order by timestamp limit 2 offset 1")
    assert (len(page["results"]), page["hasMore"], page["limit"], page["offset"]) == (2, True, 2, 1)


async def test_queries_within_queries(week: Stage) -> None:
    inner = "select distinct_id, count() as n from events group by distinct_id"
    assert await week.rows(f"select max(n) from ({inner})") == [[3]]
    assert await week.rows(f"with often as ({inner}) select distinct_id from often where n = 3") == [["ann"]]
    saved = "select distinct_id from events where event = 'saved'"
    assert await week.rows(f"select count() from events where distinct_id in ({saved})") == [[3]]
    assert await week.rows("select 1 union all select 2") == [[1], [2]]
    joined = (
        "select e.event, p.properties.email from events e join persons p on e.person_id = p.id where e.event = 'saved'"
    )
    assert await week.rows(f"{joined} limit 1") == [["saved", "ann@x.io"]]


async def test_persons_groups_and_sessions_are_tables_too(week: Stage) -> None:
    assert await week.rows("select properties.email from persons where properties.email is not null") == [["ann@x.io"]]
    assert await week.rows("select key, properties.name from groups where index = 0") == [[GROUP, "My app"]]
    sessions = "select session_id, $session_duration from sessions order by $session_duration desc"
    assert await week.rows(sessions) == [["s1", 224999], ["s2", 0]]


async def test_a_query_may_leave_places_for_values(week: Stage) -> None:
    asked = "select count() from events where event = {name} and properties.tab = {tab}"
    assert await week.rows(asked, values={"name": "opened", "tab": "home' or 1=1 --"}) == [[0]]
    assert await week.rows(asked, values={"name": "opened", "tab": "home"}) == [[2]]


@pytest.mark.parametrize(
    ("hogql", "detail"),
    [
        ("select", "Syntax error: mismatched input '<EOF>' at position 6"),
        ("select event from", "Syntax error: expected a table, found 'the end'"),
        ("drop table event", "Syntax error: mismatched input 'drop' expecting 'SELECT' at position 0"),
        ("select event from events; select 1", "Syntax error: mismatched input 'select' at position 26"),
        ("select foo from events", "Unable to resolve field: foo"),
        ("select event from person", 'Unknown table "person".'),
        ("select sqlite_version()", "Unsupported function call 'sqlite_version(...)'"),
        ("select lower() from events", "Function 'lower' expects 1 arguments, found 0"),
        ("select {x}", "Unresolved placeholder: {x}"),
        ("select rank() over () from events", "Window functions are not supported by this local PostHog"),
        ("select event from events limit 1 by event", "LIMIT BY is not supported by this local PostHog"),
        ("select event from events array join x", "ARRAY is not supported by this local PostHog"),
        ("select 1 union all select 1, 2", "The selects of a UNION ALL must have as many columns each"),
        ("select " + "(" * 3000 + "1" + ")" * 3000, "The query is nested too deeply"),
        (
            "select 99999999999999999999",
            "Error while running the query: Python int too large to convert to SQLite INTEGER",
        ),
        ("select event =~ '(' from events", "Error while running the query: user-defined function raised exception"),
        ("select event from events where count() > 1", "Aggregate function count is found in WHERE in query"),
        (
            "select sum(count()) from events",
            "Aggregate function count is found inside another aggregate function in query",
        ),
        ("select event from events where event = 'a", 'Syntax error at line 1, column 39: unexpected "\'"'),
    ],
)
async def test_what_is_not_understood_is_said_so(week: Stage, hogql: str, detail: str) -> None:
    answer = await week.api("POST", "query/", {"query": {"kind": "HogQLQuery", "query": hogql}})
    told = answer.json()
    assert (answer.status_code, told["type"], told["code"]) == (400, "validation_error", "invalid_input")
    assert told["detail"] == detail


async def test_other_queries_are_refused_by_name(posthog: Stage) -> None:
    answer = await posthog.api("POST", "query/", {"query": {"kind": "TrendsQuery"}})
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "Unsupported query kind: TrendsQuery. This local PostHog knows HogQLQuery and EventsQuery.",
    )
    assert (await posthog.api("POST", "query/", {})).json()["attr"] == "query"


async def test_an_events_query_is_a_list_of_columns_and_conditions(week: Stage) -> None:
    query = {
        "kind": "EventsQuery",
        "select": ["*", "event", "properties.tab"],
        "event": "opened",
        "after": "2026-11-21",
        "properties": [{"key": "tab", "value": ["home", "Home"], "operator": "exact", "type": "event"}],
        "where": [f"$group_0 = '{GROUP}'"],
        "orderBy": ["timestamp DESC"],
    }
    found = (await week.api("POST", "query/", {"query": query})).json()
    ((whole, name, tab),) = found["results"]
    assert (whole["distinct_id"], whole["properties"]["size"], name, tab) == ("bob", 7, "opened", "Home")
    assert whole["timestamp"] == "2026-11-21T10:00:00.000000Z"
    counted = {"kind": "EventsQuery", "select": ["event", "count()"], "orderBy": ["count() DESC"], "after": "-30d"}
    found = (await week.api("POST", "query/", {"query": counted})).json()
    assert found["results"] == [["opened", 3], ["saved", 2]]


@pytest.mark.parametrize(
    "wrong", [{"select": "event"}, {"limit": "ten"}, {"where": ["("]}, {"properties": [7]}, {"actionId": 3}]
)
async def test_an_events_query_that_is_none_is_refused(week: Stage, wrong: Doc) -> None:
    answer = await week.api("POST", "query/", {"query": {"kind": "EventsQuery", "select": ["event"], **wrong}})
    assert (answer.status_code, answer.json()["type"]) == (400, "validation_error")


async def test_the_events_list_goes_back_page_by_page(week: Stage) -> None:
    first = (await week.api("GET", "events/?limit=2&event=opened", scopes=("query:read",))).json()
    assert [each["distinct_id"] for each in first["results"]] == ["eve", "bob"]
    rest = (await week.http.get(first["next"], headers=await week.key())).json()
    assert ([each["distinct_id"] for each in rest["results"]], rest["next"]) == (["ann"], None)
    one = (await week.api("GET", f"events/{rest['results'][0]['id']}/")).json()
    assert one == rest["results"][0]
    assert (one["person"]["properties"], one["properties"]["tab"]) == ({"email": "ann@x.io"}, "home")
    filters = '[{"key": "tab", "value": "list", "operator": "exact", "type": "event"}]'
    found = (await week.api("GET", f"events/?properties={filters}")).json()["results"]
    assert [each["event"] for each in found] == ["saved"]
    assert (await week.api("GET", "events/nothing/")).status_code == 404


async def test_the_default_is_a_hundred_rows(posthog: Stage) -> None:
    await posthog.capture(*(an_event() for _ in range(150)))
    found = await posthog.query("select event from events")
    assert (len(found["results"]), found["hasMore"]) == (100, True)
    assert len(await posthog.rows("select event from events limit 120")) == 120
