"""HogQL expressions, from the loosest operator to the tightest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.posthog.hogql.atoms import Atoms
from server.twins.posthog.hogql.nodes import Call, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.posthog.hogql.nodes import Expression

_COMPARISONS = {
    "=": "equals",
    "==": "equals",
    "!=": "notEquals",
    "<>": "notEquals",
    "<": "less",
    "<=": "lessOrEquals",
    ">": "greater",
    ">=": "greaterOrEquals",
    "=~": "match",
    "!~": "notMatch",
    "=~*": "iMatch",
    "!~*": "notIMatch",
}
_SUMS = {"+": "plus", "-": "minus", "||": "concat"}
_PRODUCTS = {"*": "multiply", "/": "divide", "%": "modulo"}


class Expressions(Atoms):
    def expression(self) -> Expression:
        found = self._or()
        if self.symbol("?"):
            then = self.expression()
            self.demand_symbol(":")
            return Call("if", (found, then, self.expression()))
        return found

    def _or(self) -> Expression:
        return self._joined("OR", "or", self._and)

    def _and(self) -> Expression:
        return self._joined("AND", "and", self._not)

    def _joined(self, word: str, name: str, read: Callable[[], Expression]) -> Expression:
        found = [read()]
        while self.word(word):
            found.append(read())
        return found[0] if len(found) == 1 else Call(name, tuple(found))

    def _not(self) -> Expression:
        return Call("not", (self._not(),)) if self.word("NOT") else self._comparison()

    def _comparison(self) -> Expression:
        left = self._coalesced()
        while True:
            if (name := _COMPARISONS.get(self.next.text)) and self.next.kind == "symbol":
                self.take()
                left = Call(name, (left, self._coalesced()))
            elif self.word("IS"):
                name = "isNotNull" if self.word("NOT") else "isNull"
                self.demand("NULL")
                left = Call(name, (left,))
            elif (found := self._worded(left)) is not None:
                left = found
            else:
                return left

    def _worded(self, left: Expression) -> Expression | None:
        """`[NOT] IN`, `LIKE`, `ILIKE` and `BETWEEN`."""
        negated = self.at_word("NOT")
        word = self.ahead(1).word if negated else self.next.word
        if word not in ("IN", "LIKE", "ILIKE", "BETWEEN"):
            return None
        self.skip(2 if negated else 1)
        if word == "BETWEEN":
            low = self._coalesced()
            self.demand("AND")
            inside = Call(
                "and", (Call("greaterOrEquals", (left, low)), Call("lessOrEquals", (left, self._coalesced())))
            )
            return Call("not", (inside,)) if negated else inside
        name = {"IN": "in", "LIKE": "like", "ILIKE": "ilike"}[word]
        return Call(
            f"not{name[0].upper()}{name[1:]}".replace("Ilike", "ILike") if negated else name, (left, self._coalesced())
        )

    def _coalesced(self) -> Expression:
        found = self.sum()
        while self.symbol("??"):
            found = Call("ifNull", (found, self.sum()))
        return found

    def sum(self) -> Expression:
        found = self._product()
        while self.next.kind == "symbol" and (name := _SUMS.get(self.next.text)):
            self.take()
            found = Call(name, (found, self._product()))
        return found

    def _product(self) -> Expression:
        found = self._signed()
        while self.next.kind == "symbol" and (name := _PRODUCTS.get(self.next.text)):
            self.take()
            found = Call(name, (found, self._signed()))
        return found

    def _signed(self) -> Expression:
        if not self.symbol("-"):
            return self.indexed()
        found = self._signed()
        if isinstance(found, Literal) and isinstance(found.value, (int, float)):
            return Literal(-found.value)
        return Call("negate", (found,))
