"""LZ-string in base64, which older posthog-js sent as `compression=lz64`.

A dictionary coder over a stream of bits: every entry is what came before and the next character.
"""

from __future__ import annotations

from server.twins.posthog import errors

_ALPHABET = {
    letter: index for index, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
}
_NEW_8_BITS, _NEW_16_BITS, _END = 0, 1, 2
_FIRST_FREE = 4


class _Bits:
    """Six bits to a letter, the highest first; a number's own bits come lowest first."""

    def __init__(self, text: str) -> None:
        self._letters = iter(text)
        self._letter, self._left = 0, 0

    def number(self, width: int) -> int:
        return sum(self._bit() << power for power in range(width))

    def _bit(self) -> int:
        if self._left == 0:
            try:
                self._letter, self._left = _ALPHABET[next(self._letters)], 6
            except (StopIteration, KeyError):
                raise errors.undecodable("invalid LZ64 data") from None
        self._left -= 1
        return self._letter >> self._left & 1


def decompress(text: str, limit: int) -> str:
    """The text inside. Raises a 413 past `limit` characters, for a few may hold a very great many."""
    bits = _Bits(text.strip().replace(" ", "+"))
    known: list[str] = ["", "", ""]
    width, room = 3, _FIRST_FREE
    first = _new(bits, bits.number(2))
    if first is None:
        return ""
    known.append(first)
    pieces, before, length = [first], first, 1
    while (code := bits.number(width)) != _END:
        if code in (_NEW_8_BITS, _NEW_16_BITS):
            known.append(_new(bits, code) or "")
            code = len(known) - 1
            room -= 1
            width, room = _wider(width, room)
        piece = _piece(known, code, before)
        pieces.append(piece)
        known.append(before + piece[0])
        before, length, room = piece, length + len(piece), room - 1
        width, room = _wider(width, room)
        if length > limit:
            raise errors.too_big(f"Event or batch exceeded {limit} during unzipping")
    return "".join(pieces)


def _new(bits: _Bits, code: int) -> str | None:
    """A character not seen before; None is the end."""
    return None if code == _END else chr(bits.number(8 if code == _NEW_8_BITS else 16))


def _wider(width: int, room: int) -> tuple[int, int]:
    """One bit more once every code of this width is taken."""
    return (width + 1, 1 << width) if room == 0 else (width, room)


def _piece(known: list[str], code: int, before: str) -> str:
    if code < len(known) and (piece := known[code]):
        return piece
    if code == len(known):
        return before + before[0]
    raise errors.undecodable("invalid LZ64 data")
