"""Tokens, estimated: there is no tokenizer here. A short word, up to three digits or a run of signs is one."""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from server.twins.anthropic.pixels import Unreadable, size_of

if TYPE_CHECKING:
    from server.twins.anthropic.conversation import Json

PIECE = re.compile(r"\s*[^\W\d_]{1,7}|\s*\d{1,3}|\s*(?:[^\w\s]|_){1,3}|\s+")
"""Its matches, put together again, are the text."""
PIXELS = 750
"""Pixels an image token stands for, and the most one image costs (Claude docs, Vision)."""
IMAGE_LIMIT = 1600
MESSAGE = 3
"""What a message costs beside its blocks."""


def pieces(text: str) -> list[str]:
    return PIECE.findall(text)


def count(text: str) -> int:
    return len(pieces(text))


def count_json(value: Any) -> int:
    return count(json.dumps(value, ensure_ascii=False))


def count_block(block: Json) -> int:
    """A content block of either side."""
    match block["type"]:
        case "text":
            return count(block["text"])
        case "thinking":
            return count(block["thinking"])
        case "image":
            return _image(block["source"])
        case "tool_use":
            return count(block["name"]) + count_json(block["input"])
        case "tool_result":
            content = block.get("content") or ""
            return 2 + (count(content) if isinstance(content, str) else sum(count_block(part) for part in content))
        case _:
            return count_json({name: value for name, value in block.items() if name != "cache_control"})


def _image(source: Json) -> int:
    try:
        width, height = size_of(b64decode(source["data"])) if source["type"] == "base64" else (0, 0)
    except Unreadable:
        return IMAGE_LIMIT
    return min(IMAGE_LIMIT, math.ceil(width * height / PIXELS)) or IMAGE_LIMIT
