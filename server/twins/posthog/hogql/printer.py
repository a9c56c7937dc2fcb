"""HogQL as PostHog prints it back: operators as calls. It names the columns that were given no name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from server.twins.posthog.hogql.nodes import (
    Alias,
    Call,
    Field,
    Items,
    Join,
    Literal,
    Select,
    Star,
    Subquery,
    Table,
    UnionAll,
)

if TYPE_CHECKING:
    from server.twins.posthog.hogql.nodes import Expression, Query, Source

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def printed(node: Expression) -> str:  # noqa: PLR0911 - one for each kind of node
    match node:
        case Literal(value):
            return _literal(value)
        case Field(chain):
            return ".".join(name if _PLAIN.fullmatch(name) else f"`{name}`" for name in chain)
        case Star(table):
            return f"{table}.*" if table else "*"
        case Items(items, brackets):
            inside = ", ".join(printed(item) for item in items)
            return f"{'tuple(' if brackets == '()' else '['}{inside}{')' if brackets == '()' else ']'}"
        case Call(name, args, parameters, distinct):
            told = f"({', '.join(printed(each) for each in parameters)})" if parameters else ""
            return f"{name}{told}({'DISTINCT ' if distinct else ''}{', '.join(printed(each) for each in args)})"
        case Alias(expression, name):
            return f"{printed(expression)} AS {name if _PLAIN.fullmatch(name) else f'`{name}`'}"
        case Subquery(query, _):
            return f"({printed_query(query)})"


def printed_query(query: Query) -> str:
    if isinstance(query, UnionAll):
        return " UNION ALL ".join(printed_query(each) for each in query.selects)
    return _select(query)


def column_name(node: Expression) -> str:
    """What a column is called: its alias, the last of a field, or the printed expression."""
    if isinstance(node, Alias):
        return node.name
    if isinstance(node, Field):
        return (
            "__".join(node.chain[node.chain.index("properties") + 1 :] or node.chain[-1:])
            if "properties" in node.chain
            else node.chain[-1]
        )
    return printed(node)


def _select(query: Select) -> str:
    parts = [f"SELECT {'DISTINCT ' if query.distinct else ''}{', '.join(printed(each) for each in query.columns)}"]
    if query.source:
        parts.append(f"FROM {_source(query.source)}")
    if query.where:
        parts.append(f"WHERE {printed(query.where)}")
    if query.group_by:
        parts.append(f"GROUP BY {', '.join(printed(each) for each in query.group_by)}")
    if query.having:
        parts.append(f"HAVING {printed(query.having)}")
    if query.order_by:
        orders = [f"{printed(each.expression)} {'DESC' if each.descending else 'ASC'}" for each in query.order_by]
        parts.append(f"ORDER BY {', '.join(orders)}")
    if query.limit is not None:
        parts.append(f"LIMIT {query.limit}")
    if query.offset is not None:
        parts.append(f"OFFSET {query.offset}")
    return " ".join(parts)


def _source(source: Source) -> str:
    if isinstance(source, Join):
        return f"{_source(source.left)} {source.kind.upper()} JOIN {_source(source.right)} ON {printed(source.on)}"
    written = source.name if isinstance(source, Table) else f"({printed_query(source.query)})"
    return f"{written} AS {source.alias}" if source.alias else written


def _literal(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "NULL"}[value]
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        return f"'{escaped}'"
    return str(value)
