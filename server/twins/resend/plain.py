"""The text of a mail that was given as HTML only: Resend makes one (Resend docs, "Send email", `text`)."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_BREAKS = ("address", "blockquote", "br", "div", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "p", "table", "tr")
_UNSEEN = ("head", "script", "style", "title")


def plain_text(html: str) -> str:
    """What a reader would see: block by block, links with where they lead."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [re.sub(r"[^\S\n]+", " ", line).strip() for line in "".join(reader.found).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._unseen = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BREAKS:
            self.found.append("\n")
        elif tag == "a":
            self._links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BREAKS:
            self.found.append("\n")
        elif tag == "a" and self._links and (target := self._links.pop()):
            self.found.append(f" {target}")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.found.append(data.replace("\n", " "))
