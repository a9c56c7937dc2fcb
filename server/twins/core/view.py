"""What a person sees of a twin: a view is a title over blocks, and one page draws them for every twin."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True)
class Link:
    """Leads to another view of the same twin."""

    text: str
    to: str


Cell = str | Link


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    kind: Literal["table"] = "table"


@dataclass(frozen=True)
class Facts:
    title: str
    rows: Sequence[tuple[str, Cell]]
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True)
class Text:
    """Shown as it is, in a fixed-width face."""

    title: str
    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True)
class Html:
    """Somebody's HTML (a mail), drawn where it can run nothing and reach nothing."""

    title: str
    html: str
    kind: Literal["html"] = "html"


@dataclass(frozen=True)
class Image:
    title: str
    mime: str
    base64: str
    kind: Literal["image"] = "image"


Block = Table | Facts | Text | Html | Image


@dataclass(frozen=True)
class View:
    title: str
    blocks: Sequence[Block]
    crumbs: Sequence[Link] = field(default_factory=tuple)


if TYPE_CHECKING:
    # The view at a path; "" is the front page. Raises `KeyError` for a path that shows nothing.
    Viewer = Callable[[str], Awaitable[View]]
