"""An `EventsQuery` as the HogQL it stands for, and the older events list as the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from server.twins.posthog.hogql import HogQLError, parse, parse_expression
from server.twins.posthog.hogql.nodes import Alias, Call, Field, Items, Literal, Order, Select, Star, Table

if TYPE_CHECKING:
    from server.twins.posthog.hogql.nodes import Expression, Query

Doc = dict[str, Any]

_ROW = ("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at", "person_id")
_OPERATORS = {
    "exact": "equals",
    "is_not": "notEquals",
    "gt": "greater",
    "gte": "greaterOrEquals",
    "lt": "less",
    "lte": "lessOrEquals",
    "regex": "match",
    "not_regex": "notMatch",
    "is_set": "isNotNull",
    "is_not_set": "isNull",
}
_SOURCES = {"event": ("properties",), "person": ("person", "properties")}


def events_query(query: Doc) -> Query:
    """Raises `HogQLError` for what it cannot say."""
    for name in ("actionId", "personId", "source", "fixedProperties", "filterTestAccounts"):
        if query.get(name):
            raise HogQLError(f"EventsQuery.{name} is not supported by this local PostHog")
    columns = [_column(str(text)) for text in _list(query, "select") or ["*"]]
    conditions = [parse_expression(str(text)) for text in _list(query, "where")]
    conditions += [_equals("event", query["event"])] if query.get("event") else []
    conditions += [_property(each) for each in _list(query, "properties")]
    conditions += _between(query.get("after"), query.get("before"))
    order = _list(query, "orderBy") or ["timestamp DESC"]
    return Select(
        columns=tuple(columns),
        source=Table("events"),
        where=Call("and", tuple(conditions)) if conditions else None,
        group_by=_grouped(columns),
        order_by=_orders(order),
        limit=_count(query, "limit"),
        offset=_count(query, "offset"),
    )


def events_list(asked: dict[str, str], limit: int) -> Select:
    """The older `/events`: filters in the query string, newest first."""
    conditions = [_equals(name, asked[name]) for name in ("event", "distinct_id", "person_id") if asked.get(name)]
    conditions += _between(asked.get("after"), asked.get("before"))
    conditions += [_property(each) for each in _json_list(asked.get("properties", ""))]
    newest_first = asked.get("orderBy", '["-timestamp"]') != '["timestamp"]'
    return Select(
        columns=tuple(Field((name,)) for name in _ROW),
        source=Table("events"),
        where=Call("and", tuple(conditions)) if conditions else None,
        order_by=(Order(Field(("timestamp",)), newest_first),),
        limit=limit,
    )


def _list(query: Doc, name: str) -> list[Any]:
    found: Any = query.get(name) or []
    if not isinstance(found, list):
        raise HogQLError(f"EventsQuery.{name} is a list")
    return cast("list[Any]", found)


def _count(query: Doc, name: str) -> int | None:
    found = query.get(name)
    if found is not None and (not isinstance(found, int) or found < 0):
        raise HogQLError(f"EventsQuery.{name} is a whole number")
    return found


def _json_list(text: str) -> list[Doc]:
    try:
        found: Any = json.loads(text or "[]")
    except ValueError:
        raise HogQLError("Properties are unparsable!") from None
    return cast("list[Doc]", found) if isinstance(found, list) else []


def _column(text: str) -> Expression:
    """`*` is a whole event in one column."""
    found = parse_expression(text.split("--", maxsplit=1)[0])
    if not isinstance(found, Star):
        return found
    pairs = [each for name in _ROW for each in (Literal(name), Field((name,)))]
    return Alias(Call("jsonRow", tuple(pairs)), "*")


def _orders(written: list[Any]) -> tuple[Order, ...]:
    found = parse(f"select 1 from events order by {', '.join(map(str, written))}")  # noqa: S608 - HogQL, and parsed
    return found.order_by if isinstance(found, Select) else ()


def _grouped(columns: list[Expression]) -> tuple[Expression, ...]:
    """With an aggregate among the columns, the others are what it is grouped by."""
    from server.twins.posthog.hogql.aggregates import is_aggregate

    bare = [each.expression if isinstance(each, Alias) else each for each in columns]
    if not any(isinstance(each, Call) and is_aggregate(each.name) for each in bare):
        return ()
    return tuple(each for each in bare if not (isinstance(each, Call) and is_aggregate(each.name)))


def _between(after: Any, before: Any) -> list[Expression]:
    found: list[Expression] = []
    if after:
        found.append(Call("greater", (Field(("timestamp",)), _moment(str(after)))))
    if before:
        found.append(Call("less", (Field(("timestamp",)), _moment(str(before)))))
    return found


def _moment(text: str) -> Expression:
    """A time, `all`, or so long ago: `-24h`."""
    units = {"h": "Hour", "d": "Day", "w": "Week", "m": "Month", "y": "Year"}
    if text == "all":
        return Literal("1970-01-01")
    if text[:1] == "-" and text[-1:] in units and text[1:-1].isdecimal():
        ago = Call(f"toInterval{units[text[-1]]}", (Literal(int(text[1:-1])),))
        return Call("minus", (Call("now", ()), ago))
    return Literal(text)


def _equals(name: str, value: Any) -> Expression:
    return Call("equals", (Field((name,)), Literal(str(value))))


def _property(told: Any) -> Expression:
    """One property filter: `{"key": "$browser", "value": "Chrome", "operator": "exact", "type": "event"}`."""
    if not isinstance(told, dict):
        raise HogQLError("A property filter is an object")
    told = cast("Doc", told)
    kind, operator, value = told.get("type") or "event", told.get("operator") or "exact", told.get("value")
    if kind == "hogql":
        return parse_expression(str(told.get("key")))
    if kind == "group":
        chain: tuple[str, ...] = (f"group_{told.get('group_type_index')}", "properties")
    elif kind in _SOURCES:
        chain = _SOURCES[kind]
    else:
        raise HogQLError(f"A filter of type {kind} is not supported by this local PostHog")
    field = Field((*chain, str(told.get("key"))))
    if operator in ("icontains", "not_icontains"):
        return Call("ilike" if operator == "icontains" else "notILike", (field, Literal(f"%{value}%")))
    name = _OPERATORS.get(operator)
    if name is None:
        raise HogQLError(f"The operator {operator} is not supported by this local PostHog")
    if name in ("isNull", "isNotNull"):
        return Call(name, (field,))
    if isinstance(value, list):
        items = Items(tuple(Literal(each) for each in cast("list[Any]", value)))
        return Call("in" if name == "equals" else "notIn", (field, items))
    return Call(name, (field, Literal(value)))
