"""HogQL tokens into nodes: clauses one after another, expressions by how tightly their operators bind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.posthog.hogql.expressions import Expressions
from server.twins.posthog.hogql.nodes import (
    Alias,
    HogQLError,
    Join,
    Literal,
    Order,
    Select,
    Subquery,
    Table,
    UnionAll,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.twins.posthog.hogql.nodes import Expression, Query, Source, Value


def parse(text: str, values: Mapping[str, Value] | None = None) -> Query:
    """A whole query; `values` stand where it has `{names}`. Raises `HogQLError`."""
    try:
        return _Parser(text, values or {}).whole()
    except RecursionError:
        raise HogQLError("The query is nested too deeply") from None


def parse_expression(text: str) -> Expression:
    """One column or condition, as an EventsQuery lists them; `expression AS name` and `expression DESC` included."""
    parser = _Parser(text, {})
    found = parser.column()
    if parser.word("DESC") or parser.word("ASC"):
        raise HogQLError("An order is not an expression")
    parser.end()
    return found


class _Parser(Expressions):
    def whole(self) -> Query:
        found = self.query()
        self.symbol(";")
        self.end()
        return found

    def query(self) -> Query:
        """`WITH name AS (...)`, then one select or several joined by `UNION ALL`."""
        if self.word("WITH"):
            self._common_tables()
        selects = [self._select()]
        while self.word("UNION"):
            self.demand("ALL")
            selects.append(self._select())
        return selects[0] if len(selects) == 1 else UnionAll(tuple(selects))

    def _common_tables(self) -> None:
        while True:
            name = self.name("a name")
            self.demand("AS")
            self.demand_symbol("(")
            self.tables[name] = self.query()
            self.demand_symbol(")")
            if not self.symbol(","):
                return

    def _select(self) -> Select:
        if self.symbol("("):
            inner = self.query()
            self.demand_symbol(")")
            if isinstance(inner, UnionAll):
                raise HogQLError("A union inside a union is not supported by this local PostHog")
            return inner
        self.demand("SELECT")
        distinct = self.word("DISTINCT")
        columns = self._listed()
        source = self._source() if self.word("FROM") else None
        where = self.expression() if self.word("WHERE") else None
        group_by = self._listed() if self.word("GROUP", "BY") else ()
        having = self.expression() if self.word("HAVING") else None
        order_by = self._orders() if self.word("ORDER", "BY") else ()
        limit, offset = self._limit()
        return Select(columns, source, distinct, where, group_by, having, order_by, limit, offset)

    def _listed(self) -> tuple[Expression, ...]:
        found = [self.column()]
        while self.symbol(","):
            found.append(self.column())
        return tuple(found)

    def column(self) -> Expression:
        found = self.expression()
        if self.word("AS"):
            return Alias(found, self.name("an alias"))
        return Alias(found, self.take().text) if self.at_alias() else found

    def _orders(self) -> tuple[Order, ...]:
        found: list[Order] = []
        while True:
            expression = self.expression()
            descending = self.word("DESC") or self.word("DESCENDING")
            if not descending:
                self.word("ASC")
            found.append(Order(expression, descending))
            if not self.symbol(","):
                return tuple(found)

    def _limit(self) -> tuple[int | None, int | None]:
        limit = self._count() if self.word("LIMIT") else None
        offset = None
        if limit is not None and self.symbol(","):
            limit, offset = self._count(), limit
        if self.word("BY"):
            raise HogQLError("LIMIT BY is not supported by this local PostHog")
        if self.word("OFFSET"):
            offset = self._count()
        return limit, offset

    def _count(self) -> int:
        found = self.expression()
        if not isinstance(found, Literal) or not isinstance(found.value, int) or found.value < 0:
            raise HogQLError("A limit must be a whole number")
        return found.value

    def _source(self) -> Source:
        left = self._one_source()
        while True:
            kind = "left" if self.word("LEFT") else "inner"
            if kind == "left":
                self.word("OUTER")
            elif not self.word("INNER") and not self.at_word("JOIN"):
                break
            self.demand("JOIN")
            right = self._one_source()
            self.demand("ON")
            left = Join(left, right, kind, self.expression())
        if self.at_word("ARRAY", "CROSS", "FULL", "RIGHT", "SAMPLE", "PREWHERE"):
            raise HogQLError(f"{self.take().text.upper()} is not supported by this local PostHog")
        return left

    def _one_source(self) -> Source:
        if self.symbol("("):
            query = self.query()
            self.demand_symbol(")")
            return Subquery(query, self._alias())
        name = self.name("a table")
        while self.symbol("."):
            name += f".{self.name('a table')}"
        if name in self.tables:
            return Subquery(self.tables[name], self._alias() or name)
        return Table(name, self._alias())

    def _alias(self) -> str:
        if self.word("AS"):
            return self.name("an alias")
        return self.take().text if self.at_alias() else ""
