"""What an image file says of itself in its first bytes: its kind and its size in pixels."""

from __future__ import annotations

FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class Unreadable(ValueError):
    """Not an image of a kind the API knows."""


def kind_of(data: bytes) -> str:
    """Its media type; empty for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height, from the head of the file. Raises `Unreadable`."""
    try:
        match kind_of(data):
            case "image/png" if data[12:16] == b"IHDR":
                size = _big(data[16:20]), _big(data[20:24])
            case "image/gif":
                size = _little(data[6:8]), _little(data[8:10])
            case "image/jpeg":
                size = _jpeg(data)
            case "image/webp":
                size = _webp(data)
            case _:
                size = 0, 0
    except IndexError:
        size = 0, 0
    if not all(size):
        raise Unreadable
    return size


def _jpeg(data: bytes) -> tuple[int, int]:
    """The frame header says it; the segments before it are skipped by their length (ITU T.81, B.1)."""
    at = 2
    while data[at : at + 1] == b"\xff":
        if data[at + 1] in FRAME_HEADERS:
            return _big(data[at + 7 : at + 9]), _big(data[at + 5 : at + 7])
        at += 2 + _big(data[at + 2 : at + 4])
    return 0, 0


def _webp(data: bytes) -> tuple[int, int]:
    """Each of the format's three kinds keeps it elsewhere (RFC 9649)."""
    match data[12:16]:
        case b"VP8X":
            return 1 + _little(data[24:27]), 1 + _little(data[27:30])
        case b"VP8L":
            bits = _little(data[21:25])
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF
        case _:
            return 0, 0


def _big(part: bytes) -> int:
    return int.from_bytes(part, "big")


def _little(part: bytes) -> int:
    return int.from_bytes(part, "little")
