"""HogQL text into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.twins.posthog.hogql.nodes import HogQLError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_QUERY = 100_000
_TOKEN = re.compile(
    r"""
    (?P<space>   \s+ | --[^\n]* | /\*.*?\*/ )
  | (?P<number>  (?: \d+ (?: \.\d* )? | \.\d+ ) (?: [eE][+-]?\d+ )? )
  | (?P<text>    ' (?: [^'\\] | \\. | '' )* ' )
  | (?P<quoted>  ` (?: [^`\\] | \\. )+ ` | " (?: [^"\\] | \\. )+ " )
  | (?P<name>    [A-Za-z_$][A-Za-z0-9_$]* )
  | (?P<symbol>  =~\*? | !~\*? | !=~ | == | <> | != | <= | >= | \|\| | \?\? | [-+*/%=<>()\[\]{},.?:;] )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class Token:
    kind: str
    """number, text, name, quoted, symbol, or end."""
    text: str
    """A text without its quotes; a name as it was written."""
    at: int

    @property
    def word(self) -> str:
        """A name in capitals, to be compared with a keyword; a quoted name is never one."""
        return self.text.upper() if self.kind == "name" else ""


def tokens(text: str) -> Iterator[Token]:
    if len(text) > LONGEST_QUERY:
        raise HogQLError(f"The query is longer than {LONGEST_QUERY} characters")
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise HogQLError(f"Syntax error at line {_line(text, at)}: unexpected {text[at]!r}")
        kind = found.lastgroup or ""
        if kind in ("text", "quoted"):
            yield Token(kind, _unquoted(found[0]), at)
        elif kind != "space":
            yield Token(kind, found[0], at)
        at = found.end()
    yield Token("end", "", at)


def _unquoted(written: str) -> str:
    quote, inside = written[0], written[1:-1]
    inside = inside.replace(quote * 2, quote) if quote == "'" else inside
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), inside, flags=re.DOTALL)


def _line(text: str, at: int) -> str:
    before = text[:at].splitlines() or [""]
    return f"{len(before)}, column {len(before[-1])}"
