"""Where a parser stands among the tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from server.twins.posthog.hogql.nodes import HogQLError
from server.twins.posthog.hogql.tokens import tokens

if TYPE_CHECKING:
    from server.twins.posthog.hogql.tokens import Token

_WORDS = (
    "ALL AND ARRAY AS ASC BETWEEN BY CASE CROSS DESC DISTINCT ELSE END FROM FULL GROUP HAVING ILIKE IN INNER "
    "INTERVAL IS JOIN LEFT LIKE LIMIT NOT OFFSET ON OR ORDER OUTER PREWHERE RIGHT SAMPLE SELECT SETTINGS THEN "
    "UNION USING WHEN WHERE WINDOW WITH"
)
KEYWORDS = frozenset(_WORDS.split())
"""What is never an alias without AS."""


class Cursor:
    def __init__(self, text: str) -> None:
        self._tokens = [*tokens(text)]
        self._at = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    def ahead(self, count: int) -> Token:
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def skip(self, count: int) -> None:
        self._at = min(self._at + count, len(self._tokens) - 1)

    def take(self) -> Token:
        token = self.next
        self.skip(1)
        return token

    def symbol(self, text: str) -> bool:
        """Take it if it is next."""
        if self.at_symbol(text):
            self.take()
            return True
        return False

    def word(self, *words: str) -> bool:
        """Take these words if they are next, one after another."""
        following = self._tokens[self._at : self._at + len(words)]
        if [token.word for token in following] != [*words]:
            return False
        self._at += len(words)
        return True

    def at_symbol(self, text: str) -> bool:
        return self.next.kind == "symbol" and self.next.text == text

    def at_word(self, *words: str) -> bool:
        """Whether any of these words is next."""
        return self.next.word in words

    def at_alias(self) -> bool:
        return self.next.kind == "quoted" or (self.next.kind == "name" and self.next.word not in KEYWORDS)

    def name(self, what: str) -> str:
        if self.next.kind not in ("name", "quoted"):
            raise HogQLError(f"Syntax error: expected {what}, found {self.next.text or 'the end'!r}")
        return self.take().text

    def demand(self, word: str) -> None:
        if not self.word(word):
            self.unexpected(self.next, word)

    def demand_symbol(self, text: str) -> None:
        if not self.symbol(text):
            self.unexpected(self.next, text)

    def end(self) -> None:
        if self.next.kind != "end":
            self.unexpected(self.next)

    def unexpected(self, token: Token, expected: str = "") -> NoReturn:
        what = f"mismatched input '{token.text or '<EOF>'}'"
        raise HogQLError(f"Syntax error: {what}{f' expecting {expected!r}' if expected else ''} at position {token.at}")
