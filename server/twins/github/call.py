"""One request, as the handlers see it, and the answers they give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode

from starlette.responses import JSONResponse, Response

from server.twins.core.paging import numbered_page
from server.twins.github import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from server.twins.github.actors import Actor
    from server.twins.github.git import BareRepository
    from server.twins.github.shapes import Shapes
    from server.twins.github.state import Hub

Doc = dict[str, Any]
DEFAULT_PAGE, LARGEST_PAGE = 30, 100


class Json(JSONResponse):
    media_type = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Call:
    """`actor` is None for a stranger; `found` is the repository the path names, for routes that have one."""

    hub: Hub
    request: Request
    actor: Actor | None
    shapes: Shapes
    media: str
    """What the `Accept` header asks for: `json`, or `raw`, `diff` and their like."""
    found: Doc | None = None

    @property
    def path(self) -> dict[str, Any]:
        return self.request.path_params

    @property
    def repository(self) -> Doc:
        assert self.found is not None  # noqa: S101 - the door has looked it up
        return self.found

    @property
    def git(self) -> BareRepository:
        return self.hub.repositories.git(self.repository)

    def known(self) -> Actor:
        if self.actor is None:
            raise errors.requires_authentication()
        return self.actor

    async def refuse_empty(self) -> None:
        """The git database of a repository without a branch takes and shows nothing."""
        if not await self.git.branches():
            raise errors.empty_repository()

    def user(self) -> Actor:
        """A person's token: an App's may not act for anybody."""
        if not self.known().is_user:
            raise errors.not_accessible(self.known().called)
        return self.known()

    def app(self) -> Actor:
        """The GitHub App itself, by its assertion."""
        if self.actor is None or self.actor.kind != "app":
            raise errors.bad_assertion()
        return self.actor

    def installation(self) -> Actor:
        if self.known().kind != "installation":
            raise errors.forbidden("You must authenticate with an installation access token.")
        return self.known()

    def author(self) -> Doc:
        """Whose name a commit bears when none is given: the user's, or that of the App's bot."""
        actor = self.known()
        if actor.is_user:
            return actor.account
        bot = f"{self.hub.key.slug}[bot]"
        return {"id": self.hub.key.id, "login": bot, "name": bot, "email": None}

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    @property
    def page(self) -> tuple[int, int]:
        """Page and page size; GitHub takes nonsense for the default."""
        size, page = self.query("per_page"), self.query("page")
        per_page = min(int(size), LARGEST_PAGE) if size.isdecimal() and int(size) else DEFAULT_PAGE
        return (int(page) if page.isdecimal() and int(page) else 1), per_page

    async def body(self) -> Doc:
        raw = await self.request.body()
        try:
            found: Any = json.loads(raw or b"{}")
        except ValueError:
            raise errors.bad_json() from None
        if not isinstance(found, dict):
            raise errors.not_an_object()
        return cast("Doc", found)

    # Answers

    def listed(self, items: Sequence[Any], shape: Callable[[Any], Doc], field: str = "", **more: Any) -> Response:
        """One page of them, with links to the others; in an object's `field` where GitHub has it so."""
        page, per_page = self.page
        shown = [shape(item) for item in numbered_page([*items], page=page, per_page=per_page).items]
        body: Any = {"total_count": len(items), **more, field: shown} if field else shown
        return Json(body, headers=self.links(len(items)))

    def links(self, total: int) -> dict[str, str]:
        """RFC 8288 links to the other pages; the rest of the query stays as it was."""
        page, per_page = self.page
        last = max(1, -(-total // per_page))
        targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        absent = ({"prev", "first"} if page <= 1 else set[str]()) | ({"next", "last"} if page >= last else set[str]())
        kept = [
            (name, value) for name, value in parse_qsl(self.request.url.query, keep_blank_values=True) if name != "page"
        ]
        url = str(self.request.url).partition("?")[0]
        link = ", ".join(
            f'<{url}?{urlencode([*kept, ("page", number)])}>; rel="{rel}"'
            for rel, number in targets.items()
            if rel not in absent
        )
        return {"Link": link} if link else {}


def made(body: Mapping[str, Any], url: str = "") -> Response:
    return Json(body, 201, {"Location": url} if url else None)


def nothing() -> Response:
    return Response(status_code=204)
