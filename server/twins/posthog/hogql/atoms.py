"""HogQL's smallest expressions: constants, fields, calls, and whatever stands in brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.posthog.hogql.cursor import KEYWORDS, Cursor
from server.twins.posthog.hogql.nodes import Call, Field, HogQLError, Items, Literal, Star, Subquery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.twins.posthog.hogql.nodes import Expression, Query, Value
    from server.twins.posthog.hogql.tokens import Token

UNITS = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")


class Atoms(Cursor):
    def __init__(self, text: str, values: Mapping[str, Value]) -> None:
        super().__init__(text)
        self._values = values
        self.tables: dict[str, Query] = {}
        """Named in front of the query by `WITH`."""

    def query(self) -> Query:
        raise NotImplementedError

    def expression(self) -> Expression:
        raise NotImplementedError

    def sum(self) -> Expression:
        raise NotImplementedError

    def indexed(self) -> Expression:
        """`properties['a']` and `properties.a.b`."""
        found = self._atom()
        while isinstance(found, Field):
            if self.symbol("."):
                if self.symbol("*"):
                    return Star(".".join(found.chain))
                found = Field((*found.chain, self.name("a field")))
            elif self.symbol("["):
                key = self.expression()
                self.demand_symbol("]")
                if not isinstance(key, Literal):
                    raise HogQLError("Only a constant may stand in brackets")
                found = Field((*found.chain, str(key.value)))
            else:
                break
        return found

    def _atom(self) -> Expression:
        token = self.take()
        if token.kind == "number":
            return Literal(int(token.text) if token.text.isdecimal() else float(token.text))
        if token.kind == "text":
            return Literal(token.text)
        if token.kind == "symbol":
            return self._opened(token)
        if token.kind == "end":
            self.unexpected(token)
        return self._named(token)

    def _opened(self, token: Token) -> Expression:
        if token.text == "(":
            return self._parenthesised()
        if token.text == "[":
            return Items(self._until("]"), "[]")
        if token.text == "*":
            return Star()
        if token.text == "{":
            name = self.name("a placeholder")
            self.demand_symbol("}")
            if name not in self._values:
                raise HogQLError(f"Unresolved placeholder: {{{name}}}")
            return Literal(self._values[name])
        return self.unexpected(token)

    def _parenthesised(self) -> Expression:
        if self.at_word("SELECT", "WITH"):
            query = self.query()
            self.demand_symbol(")")
            return Subquery(query)
        found = self._until(")")
        return found[0] if len(found) == 1 else Items(found)

    def _named(self, token: Token) -> Expression:
        word = token.word
        if word in ("TRUE", "FALSE", "NULL"):
            return Literal({"TRUE": True, "FALSE": False, "NULL": None}[word])
        if word == "CASE":
            return self._case()
        if word == "INTERVAL":
            return self._interval()
        if word in KEYWORDS and not self.at_symbol("("):
            self.unexpected(token)
        return self._call(token.text) if self.symbol("(") else Field((token.text,))

    def _call(self, name: str) -> Expression:
        distinct = self.word("DISTINCT")
        args = self._until(")")
        if self.symbol("("):
            return Call(name, self._until(")"), args)
        if self.at_word("OVER"):
            raise HogQLError("Window functions are not supported by this local PostHog")
        return Call(name, args, distinct=distinct)

    def _case(self) -> Expression:
        subject = None if self.at_word("WHEN") else self.expression()
        found: list[Expression] = []
        while self.word("WHEN"):
            condition = self.expression()
            self.demand("THEN")
            found += [condition if subject is None else Call("equals", (subject, condition)), self.expression()]
        found.append(self.expression() if self.word("ELSE") else Literal(None))
        self.demand("END")
        return Call("multiIf", tuple(found))

    def _interval(self) -> Expression:
        if self.next.kind == "text":
            count, _, unit = self.take().text.partition(" ")
            if not count.isdecimal() or unit.upper().rstrip("S") not in UNITS:
                raise HogQLError(f"Unknown interval: {count} {unit}")
            return Call(f"toInterval{unit.rstrip('s').capitalize()}", (Literal(int(count)),))
        amount = self.sum()
        unit = self.take().text.upper().rstrip("S")
        if unit not in UNITS:
            raise HogQLError(f"Unknown interval unit: {unit.lower()}")
        return Call(f"toInterval{unit.capitalize()}", (amount,))

    def _until(self, closing: str) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while not self.symbol(closing):
            if found:
                self.demand_symbol(",")
            found.append(self.expression())
        return tuple(found)
