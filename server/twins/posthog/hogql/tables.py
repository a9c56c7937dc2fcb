"""The tables a query may read, and where their columns are kept (PostHog docs, "Accessing data", "Sessions")."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.twins.posthog.hogql.sql import Type

_TIMES: dict[str, tuple[str, Type]] = {"created_at": ("created_at", "DateTime64")}


@dataclass(frozen=True)
class TableOf:
    """`sql` is what stands after FROM; a column is where it is kept and its type."""

    sql: str
    columns: dict[str, tuple[str, Type]] = field(default_factory=dict[str, tuple[str, Type]])


def _url(order: str) -> str:
    url = "json_extract(other.properties, '$.$current_url')"
    other = f"event as other where other.session_id = event.session_id and {url} not null"
    return f"(select {url} from {other} order by other.timestamp {order} limit 1)"  # noqa: S608 - our own words


_SESSIONS = f"""(
    select session_id, min(distinct_id) as distinct_id,
    min(timestamp) as start_timestamp, max(timestamp) as end_timestamp,
    cast(round((julianday(max(timestamp)) - julianday(min(timestamp))) * 86400) as integer) as duration,
    sum(event = '$pageview') as pageviews, sum(event = '$autocapture') as autocaptures,
    sum(event = '$screen') as screens,
    {_url("asc")} as entry_url, {_url("desc")} as end_url
    from event where session_id <> '' group by session_id
)"""  # noqa: S608 - our own words

TABLES: dict[str, TableOf] = {
    "events": TableOf(
        "event",
        {
            "uuid": ("uuid", "String"),
            "event": ("event", "String"),
            "properties": ("properties", "Properties"),
            "timestamp": ("timestamp", "DateTime64"),
            "distinct_id": ("distinct_id", "String"),
            **_TIMES,
            "person_id": ("person_id", "String"),
            "$session_id": ("session_id", "String"),
            **{f"$group_{index}": (f"group_{index}", "String") for index in range(5)},
        },
    ),
    "persons": TableOf(
        "person",
        {
            "id": ("id", "String"),
            **_TIMES,
            "properties": ("properties", "Properties"),
            "is_identified": ("is_identified", "Int"),
            "last_seen_at": ("last_seen_at", "DateTime64"),
        },
    ),
    "person_distinct_ids": TableOf(
        "person_distinct_id", {"distinct_id": ("distinct_id", "String"), "person_id": ("person_id", "String")}
    ),
    "groups": TableOf(
        '"group"',
        {
            "index": ("group_type_index", "Int"),
            "key": ("group_key", "String"),
            **_TIMES,
            "properties": ("properties", "Properties"),
        },
    ),
    "sessions": TableOf(
        _SESSIONS,
        {
            "session_id": ("session_id", "String"),
            "distinct_id": ("distinct_id", "String"),
            "$start_timestamp": ("start_timestamp", "DateTime64"),
            "$end_timestamp": ("end_timestamp", "DateTime64"),
            "$session_duration": ("duration", "Int"),
            "$pageview_count": ("pageviews", "Int"),
            "$autocapture_count": ("autocaptures", "Int"),
            "$screen_count": ("screens", "Int"),
            "$entry_current_url": ("entry_url", "String"),
            "$end_current_url": ("end_url", "String"),
        },
    ),
}

VIRTUAL = {
    "person": ("person where person.id = {0}.person_id", TABLES["persons"]),
    **{
        f"group_{index}": (
            f'"group" where "group".group_type_index = {index} and "group".group_key = {{0}}.group_{index}',
            TABLES["groups"],
        )
        for index in range(5)
    },
}
"""What hangs on an event: `person.properties.email`, `group_0.properties.name`."""
