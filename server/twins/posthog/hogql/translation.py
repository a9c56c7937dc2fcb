"""A HogQL query into one SQLite statement. Every constant is bound, every name is ours or quoted."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.twins.posthog.hogql import aggregates, comparisons, functions
from server.twins.posthog.hogql.fields import Bound, Scope, columns_of
from server.twins.posthog.hogql.nodes import (
    Alias,
    Call,
    Field,
    HogQLError,
    Items,
    Join,
    Literal,
    Select,
    Star,
    Subquery,
    UnionAll,
)
from server.twins.posthog.hogql.printer import column_name
from server.twins.posthog.hogql.sql import Sql, Type, bound, built, listed, quoted
from server.twins.posthog.hogql.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Generator

    from server.twins.posthog.hogql.nodes import Expression, Query, Source


@dataclass(frozen=True)
class Statement:
    sql: Sql
    columns: list[tuple[str, Type]]


def translate(query: Query) -> Statement:
    """Raises `HogQLError`."""
    return _Translation().query(query)


class _Translation:
    def __init__(self) -> None:
        self._count = 0
        self._no_aggregates = ""
        """Where we are, if no aggregate may stand there."""

    def query(self, query: Query) -> Statement:
        if not isinstance(query, UnionAll):
            return self._select(query)
        statements = [self._select(select) for select in query.selects]
        if len({len(each.columns) for each in statements}) > 1:
            raise HogQLError("The selects of a UNION ALL must have as many columns each")
        parts = [built("select * from ({})", each.sql) for each in statements]
        template = " union all ".join("{}" for _ in parts)
        return Statement(built(template, *parts), statements[0].columns)

    def _select(self, query: Select) -> Statement:
        with self._allowing(""):
            return self._selected(query)

    @contextmanager
    def _allowing(self, no_aggregates: str) -> Generator[None]:
        before, self._no_aggregates = self._no_aggregates, no_aggregates
        yield
        self._no_aggregates = before

    def _selected(self, query: Select) -> Statement:
        scope = Scope()
        source = self._source(query.source, scope) if query.source else None
        columns = [each for column in query.columns for each in self._starred(column, scope)]
        scope.aliases = {each.name: each.expression for each in columns if isinstance(each, Alias)}
        names = [column_name(each) for each in columns]
        selected = [self._column(each, scope) for each in columns]
        named = [built(f"{{}} as {quoted(name)}", sql) for name, sql in zip(names, selected, strict=True)]
        parts = [built("select distinct {}" if query.distinct else "select {}", listed(named))]
        parts += [built("from {}", source)] if source else []
        if query.where:
            with self._allowing("in WHERE"):
                parts.append(built("where {}", self._truth(query.where, scope)))
        if query.group_by:
            parts.append(built("group by {}", listed([self._placed(each, selected, scope) for each in query.group_by])))
        parts += [built("having {}", self._truth(query.having, scope))] if query.having else []
        if query.order_by:
            orders = [
                built(
                    f"{{}} {'desc' if each.descending else 'asc'} nulls last",
                    self._placed(each.expression, selected, scope),
                )
                for each in query.order_by
            ]
            parts.append(built("order by {}", listed(orders)))
        if query.limit is not None or query.offset is not None:
            limit = -1 if query.limit is None else query.limit
            parts.append(Sql("limit ? offset ?", (limit, query.offset or 0)))
        whole = built(" ".join("{}" for _ in parts), *parts)
        return Statement(whole, [(name, sql.type) for name, sql in zip(names, selected, strict=True)])

    def _starred(self, column: Expression, scope: Scope) -> list[Expression]:
        if not isinstance(column, Star):
            return [column]
        tables = {name: each for name, each in scope.tables.items() if column.table in ("", name)}
        if not tables:
            raise HogQLError(f"Unable to resolve field: {column.table or '*'}")
        return [Field((name, each)) for name, table in tables.items() for each in table.table.columns]

    def _column(self, column: Expression, scope: Scope) -> Sql:
        if isinstance(column, Alias):
            return self._inside(column.name, column.expression, scope)
        return self.expression(column, scope)

    def _inside(self, name: str, expression: Expression, scope: Scope) -> Sql:
        scope.resolving.add(name)
        found = self.expression(expression, scope)
        scope.resolving.discard(name)
        return found

    def _placed(self, expression: Expression, selected: list[Sql], scope: Scope) -> Sql:
        """A column by its number, or an expression."""
        if isinstance(expression, Literal) and isinstance(expression.value, int):
            if not 0 < expression.value <= len(selected):
                raise HogQLError(f"Positional argument out of bounds: {expression.value}")
            return selected[expression.value - 1]
        return self.expression(expression, scope)

    def _truth(self, expression: Expression, scope: Scope) -> Sql:
        return built("coalesce({}, 0)", self.expression(expression, scope))

    def _source(self, source: Source, scope: Scope) -> Sql:
        if isinstance(source, Join):
            left, right = self._source(source.left, scope), self._source(source.right, scope)
            return built(f"{{}} {source.kind} join {{}} on {{}}", left, right, self.expression(source.on, scope))
        self._count += 1
        name = f"t{self._count}"
        if isinstance(source, Subquery):
            inner = self.query(source.query)
            scope.tables[source.alias or name] = Bound(name, columns_of(inner.columns))
            return built(f"({{}}) as {name}", inner.sql)
        table = TABLES.get(source.name)
        if table is None:
            raise HogQLError(f'Unknown table "{source.name}".')
        scope.tables[source.alias or source.name] = Bound(name, table, source.name == "events")
        return Sql(f"{table.sql} as {name}")

    def expression(self, node: Expression, scope: Scope) -> Sql:
        match node:
            case Literal(value):
                return bound(value)
            case Field(chain):
                return self._field(chain, scope)
            case Alias(expression, _):
                return self.expression(expression, scope)
            case Call():
                return self._call(node, scope)
            case Items(items, _):
                return built("json_array({})", listed([self.expression(each, scope) for each in items]), type="Array")
            case Subquery(query, _):
                inner = self.query(query)
                return Sql(f"({inner.sql.text})", inner.sql.values, inner.columns[0][1])
            case Star():
                raise HogQLError("* may only stand for columns and in count(*)")

    def _field(self, chain: tuple[str, ...], scope: Scope) -> Sql:
        name = chain[0]
        if len(chain) == 1 and name in scope.aliases and name not in scope.resolving:
            return self._inside(name, scope.aliases[name], scope)
        return scope.field(chain)

    def _call(self, node: Call, scope: Scope) -> Sql:
        if node.name in ("and", "or"):
            parts = [built("coalesce({}, 0)", self.expression(each, scope)) for each in node.args]
            joined = f" {node.name} ".join("{}" for _ in parts)
            return built(f"({joined})", *parts, type="Int", nullable=False)
        if node.name in ("in", "notIn", "globalIn"):
            return self._in(node, scope)
        is_aggregate = aggregates.is_aggregate(node.name)
        if is_aggregate and self._no_aggregates:
            raise HogQLError(f"Aggregate function {node.name} is found {self._no_aggregates} in query")
        with self._allowing("inside another aggregate function" if is_aggregate else self._no_aggregates):
            args = [self.expression(each, scope) for each in node.args if not isinstance(each, Star)]
        if is_aggregate:
            parameters = [self.expression(each, scope) for each in node.parameters]
            return aggregates.aggregate(node.name, args, parameters, distinct=node.distinct)
        if len(args) == 2 and (found := comparisons.compare(node.name, *args)):  # noqa: PLR2004 - two sides
            return found
        return functions.call(node.name, args)

    def _in(self, node: Call, scope: Scope) -> Sql:
        left, right = self.expression(node.args[0], scope), node.args[1]
        if isinstance(right, Subquery):
            template = "coalesce({} in ({}), 0)" if node.name == "in" else "(not coalesce({} in ({}), 0))"
            return built(template, left, self.query(right.query).sql, type="Int", nullable=False)
        items = right.items if isinstance(right, Items) else (right,)
        return comparisons.among(node.name, left, [self.expression(each, scope) for each in items])
