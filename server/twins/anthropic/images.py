"""Images in a request: what they are and whether the API takes them (Claude docs, Vision and Errors)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from server.twins.anthropic.conversation import blocks_of
from server.twins.anthropic.errors import invalid
from server.twins.anthropic.pixels import Unreadable, kind_of, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.twins.anthropic.conversation import Json

BYTES = 5 * 1024 * 1024
"""Of one image as it is sent, in base64."""
PER_REQUEST = 100
SIDE = 8000
"""Pixels a side may have; in a request of many images it is less."""
MANY = 20
SIDE_OF_MANY = 2000


def check(messages: list[Json]) -> None:
    """Raises the error the API answers with."""
    found = [*_images(messages)]
    for place, source in found:
        _check_source(place, source)
    if len(found) > PER_REQUEST:
        raise invalid(f"Too much media: 0 document pages + {len(found)} images > {PER_REQUEST}")
    sized = [(place, size_of(b64decode(source["data"]))) for place, source in found if source["type"] == "base64"]
    limit, why = (SIDE_OF_MANY, " for many-image requests") if len(found) > MANY else (SIDE, "")
    if large := [place for place, size in sized if max(size) > limit]:
        raise invalid(
            f"{_named(large[0])}.image.source.base64.data: At least one of the image dimensions exceed max allowed "
            f"size{why}: {limit} pixels",
            {"error_code": "image_dimensions_too_large", "max_side_length_pixels": limit, "paths": large},
        )


def _images(messages: list[Json]) -> Iterator[tuple[str, Json]]:
    """Every image's place, `messages.0.content.1.content.0` when a tool found it, and its source."""
    for number, message in enumerate(messages):
        yield from _within(f"messages.{number}", message["content"])


def _within(place: str, content: Any) -> Iterator[tuple[str, Json]]:
    for index, block in enumerate(blocks_of(content or [])):
        here = f"{place}.content.{index}"
        if block["type"] == "image":
            yield here, block["source"]
        elif block["type"] == "tool_result":
            yield from _within(here, block.get("content"))


def _named(place: str) -> str:
    """An image inside a tool's result is reported with the block's type on the way."""
    steps = place.split(".")
    return place if len(steps) == 4 else ".".join([*steps[:4], "tool_result", *steps[4:]])  # noqa: PLR2004


def _check_source(place: str, source: Json) -> None:
    where = f"{_named(place)}.image.source"
    match source["type"]:
        case "url":
            if not source["url"].lower().startswith("https://"):
                raise invalid(f"{where}.url.url: Only HTTPS URLs are supported.")
        case "file":
            raise invalid(f"{where}.file.file_id: File not found: {source['file_id']}")
        case _:
            _check_data(f"{where}.base64", source)


def _check_data(where: str, source: Json) -> None:
    size = len(source["data"])
    if not size:
        raise invalid(f"{where}: image cannot be empty")
    if size > BYTES:
        raise invalid(f"{where}: image exceeds 5 MB maximum: {size} bytes > {BYTES} bytes")
    try:
        data = b64decode(source["data"], validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{where}: invalid base64 data") from None
    try:
        size_of(data)
    except Unreadable:
        raise invalid("Could not process image") from None
    if kind_of(data) != source["media_type"]:
        raise invalid(f"{where}.data: Image does not match the provided media type {source['media_type']}")
