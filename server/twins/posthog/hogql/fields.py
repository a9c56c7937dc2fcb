"""What a name in a query stands for."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.twins.posthog.hogql.functions import json_path
from server.twins.posthog.hogql.nodes import Expression, HogQLError
from server.twins.posthog.hogql.sql import Sql, Type, quoted
from server.twins.posthog.hogql.tables import TABLES, VIRTUAL, TableOf

_WINDOW = ("properties", "$window_id")
_PROPERTY = (
    "case json_type({0}, ?) when 'true' then 'true' when 'false' then 'false' when 'null' then null else {0} ->> ? end"
)


@dataclass(frozen=True)
class Bound:
    """A table in FROM: the name SQLite knows it by, and its columns."""

    sql_name: str
    table: TableOf
    is_events: bool = False


@dataclass
class Scope:
    """The names one select knows."""

    tables: dict[str, Bound] = field(default_factory=dict[str, Bound])
    aliases: dict[str, Expression] = field(default_factory=dict[str, Expression])
    resolving: set[str] = field(default_factory=set[str])
    """Aliases inside whose own expression we are: there the name is the column's."""

    def field(self, chain: tuple[str, ...]) -> Sql:
        """Raises `HogQLError` for a name nobody knows."""
        first, *rest = chain
        if rest and first in self.tables and (found := self._of(self.tables[first], rest)):
            return found
        for bound in self.tables.values():
            if found := self._of(bound, [*chain]):
                return found
        if not self.tables and first in TABLES:
            raise HogQLError("A query needs FROM")
        raise HogQLError(f"Unable to resolve field: {'.'.join(chain)}")

    def _of(self, bound: Bound, chain: list[str]) -> Sql | None:
        first, *rest = chain
        if bound.is_events and first in VIRTUAL and rest:
            return self._virtual(bound, first, rest)
        if bound.is_events and chain == ["$window_id"]:
            return _property(f"{bound.sql_name}.properties", [_WINDOW[1]])
        if bound.is_events and chain == ["elements_chain"]:
            found = _property(f"{bound.sql_name}.properties", ["$elements_chain"])
            return Sql(f"coalesce({found.text}, '')", found.values, "String", nullable=False)
        if first not in bound.table.columns:
            return None
        column, kind = bound.table.columns[first]
        if not rest:
            return Sql(f"{bound.sql_name}.{quoted(column)}", (), kind, nullable=kind in ("Any", "Property"))
        if kind not in ("Properties", "Any", "Property"):
            raise HogQLError(f"Can not access property '{rest[0]}' on field '{first}'")
        return _property(f"{bound.sql_name}.{quoted(column)}", rest)

    def _virtual(self, bound: Bound, name: str, rest: list[str]) -> Sql:
        """A column of the person or the group an event belongs to."""
        source, table = VIRTUAL[name]
        if rest[0] not in table.columns:
            raise HogQLError(f"Unable to resolve field: {name}.{'.'.join(rest)}")
        column, kind = table.columns[rest[0]]
        whole = f"(select {quoted(column)} from {source.format(bound.sql_name)})"  # noqa: S608 - our own words
        return _property(whole, rest[1:]) if rest[1:] else Sql(whole, (), kind)


def _property(document: str, keys: list[str]) -> Sql:
    path = json_path(keys)
    return Sql(_PROPERTY.format(document), (path, path), "Property")


def columns_of(names: list[tuple[str, Type]]) -> TableOf:
    """A subquery as a table."""
    return TableOf("", {name: (name, kind) for name, kind in names})
