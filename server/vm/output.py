"""What a command says, kept whole or, where that would be too much, as its beginning and its end."""

from __future__ import annotations

MOST = 2 * 2**20  # characters of one stream
HALF = MOST // 2


class Output:
    """One stream of one command. A command that never stops talking takes no more memory than this."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._size = 0
        self._left_out = 0

    def hear(self, text: str) -> None:
        self._said.append(text)
        self._size += len(text)
        if self._size > 2 * MOST:
            self._shorten()

    def text(self) -> str:
        if self._size > MOST:
            self._shorten()
        text = "".join(self._said)
        if not self._left_out:
            return text
        return f"{text[:HALF]}\n… {self._left_out} characters left out …\n{text[HALF:]}"

    def _shorten(self) -> None:
        text = "".join(self._said)
        self._said = [text[:HALF], text[-HALF:]]
        self._left_out += len(text) - MOST
        self._size = MOST
