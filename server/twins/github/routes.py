"""GitHub's REST routes, and git beside them on the same address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core import WireError, ids
from server.twins.core.admin import admin_only
from server.twins.core.auth import bearer
from server.twins.core.paging import link_header, numbered_page
from server.twins.github import errors
from server.twins.github.limits import Limits
from server.twins.github.shapes import Shapes
from server.twins.github.state import LOGIN, full_name
from server.twins.github.transport import GIT_PATHS, GitTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.core import Site
    from server.twins.github.git import Commit
    from server.twins.github.limits import Window
    from server.twins.github.state import Actor, Hub

Doc = dict[str, Any]
DEFAULT_PAGE, LARGEST_PAGE = 30, 100
LARGEST_BODY = 10 * 1024 * 1024


@dataclass(frozen=True)
class Call:
    """One request; `actor` is None for a stranger."""

    request: Request
    actor: Actor | None

    @property
    def path(self) -> dict[str, str]:
        return self.request.path_params

    def known(self) -> Actor:
        if self.actor is None:
            raise errors.requires_authentication()
        return self.actor

    def user(self) -> Actor:
        """A person's token; one lent for a repository may not act for its owner."""
        if not self.known().is_user:
            raise errors.not_accessible()
        return self.known()

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


class Routes:
    def __init__(self, site: Site, hub: Hub) -> None:
        self._site = site
        self._hub = hub
        self._shapes = Shapes(site.base_url)
        self._limits = Limits(site.clock)

    def all(self) -> list[BaseRoute]:
        git = GitTransport(self._hub)
        return [
            self._on("GET /user", self._user),
            self._on("GET /user/repos", self._list_own),
            self._on("POST /user/repos", self._create_own),
            self._on("GET /orgs/{org}/repos", self._list_of_organization),
            self._on("POST /orgs/{org}/repos", self._create_in_organization),
            self._on("GET /rate_limit", self._rate_limit, counted=False),
            self._on("GET /repositories/{id:int}", self._by_id),
            self._on("GET /repos/{owner}/{repo}", self._get),
            self._on("PATCH /repos/{owner}/{repo}", self._update),
            self._on("DELETE /repos/{owner}/{repo}", self._delete),
            self._on("GET /repos/{owner}/{repo}/branches", self._branches),
            self._on("GET /repos/{owner}/{repo}/branches/{branch:path}", self._branch),
            self._on("GET /repos/{owner}/{repo}/commits", self._commits),
            self._on("GET /repos/{owner}/{repo}/commits/{ref:path}", self._commit),
            self._on("GET /repos/{owner}/{repo}/contents", self._contents),
            self._on("GET /repos/{owner}/{repo}/contents/{path:path}", self._contents),
            Route("/_twin/tokens", admin_only(self._site, self._lend_token), methods=["POST"]),
            *(
                Route(f"/{{owner}}/{{repo}}{suffix}/{path}", git, methods=["GET", "POST"])
                for path in GIT_PATHS
                for suffix in (".git", "")
            ),
        ]

    def _on(self, spec: str, answer: Callable[[Call], Awaitable[Response]], *, counted: bool = True) -> Route:
        method, path = spec.split()

        async def handle(request: Request) -> Response:
            try:
                actor = self._authenticate(request)
            except WireError as error:
                return error.response()
            window = self._limits.window(actor.token if actor else None)
            try:
                if counted and not window.count():
                    raise errors.rate_limited(self._hub.owner(LOGIN)[1])
                response = await answer(Call(request, actor))
            except WireError as error:
                response = error.response()
            return dressed(response, window)

        return Route(path, handle, methods=[method], max_body_size=LARGEST_BODY)

    def _authenticate(self, request: Request) -> Actor | None:
        if not request.headers.get("user-agent"):
            raise errors.no_user_agent()
        if "authorization" not in request.headers:
            return None
        actor = self._hub.actor(bearer(request, "bearer", "token"))
        if actor is None:
            raise errors.bad_credentials()
        return actor

    # The caller and what is theirs

    async def _user(self, call: Call) -> Response:
        login, owner_id = self._hub.owner(LOGIN)
        own = self._hub.list(login, call.user())
        return JSONResponse(self._shapes.user(login, owner_id, own))

    async def _rate_limit(self, call: Call) -> Response:
        rate = self._limits.window(call.actor.token if call.actor else None).document()
        return JSONResponse({"resources": {"core": rate}, "rate": rate})

    async def _list_own(self, call: Call) -> Response:
        return self._listed(call, self._hub.list(None, call.user()))

    async def _list_of_organization(self, call: Call) -> Response:
        owner, _ = self._hub.owner(call.path["org"])
        return self._listed(call, self._hub.list(owner, call.known()))

    async def _create_own(self, call: Call) -> Response:
        return await self._create(call, LOGIN)

    async def _create_in_organization(self, call: Call) -> Response:
        return await self._create(call, call.path["org"])

    async def _create(self, call: Call, login: str) -> Response:
        actor = call.user()
        doc = await self._hub.create(login, await call.body())
        shape = self._shape(doc, actor)
        return JSONResponse(shape, 201, {"Location": shape["url"]})

    # One repository

    async def _by_id(self, call: Call) -> Response:
        doc = self._hub.by_id(call.request.path_params["id"], call.actor)
        return JSONResponse(self._shape(doc, call.actor))

    async def _get(self, call: Call) -> Response:
        return JSONResponse(self._shape(self._found(call), call.actor))

    async def _update(self, call: Call) -> Response:
        doc = self._administered(call)
        return JSONResponse(self._shape(await self._hub.update(doc, await call.body()), call.actor))

    async def _delete(self, call: Call) -> Response:
        await self._hub.delete(self._administered(call))
        return Response(status_code=204)

    async def _branches(self, call: Call) -> Response:
        doc = self._found(call)
        branches = await self._hub.git(doc).branches()
        return _paged(call, [self._shapes.branch(doc, name, sha) for name, sha in sorted(branches.items())])

    async def _branch(self, call: Call) -> Response:
        doc, name = self._found(call), call.path["branch"]
        sha = (await self._hub.git(doc).branches()).get(name)
        if sha is None:
            raise errors.no_branch()
        (commit,) = await self._hub.git(doc).log(sha, count=1)
        links = {"self": str(call.request.url), "html": f"{self._site.base_url}/{full_name(doc)}/tree/{name}"}
        shape = {**self._shapes.branch(doc, name, sha), "commit": self._shapes.commit(doc, commit), "_links": links}
        return JSONResponse(
            {**shape, "protection": {"enabled": False}, "protection_url": f"{call.request.url}/protection"}
        )

    async def _commits(self, call: Call) -> Response:
        doc, git = self._found(call), self._hub.git(self._found(call))
        if not await git.branches():
            raise errors.empty_repository()
        sha = await git.resolve(call.query("sha", doc["default_branch"]))
        if sha is None:
            raise errors.not_found()
        page, per_page = call.page
        commits = await git.log(sha, skip=(page - 1) * per_page, count=per_page + 1, path=call.query("path"))
        total = (page - 1) * per_page + len(commits)  # as far as we looked: enough for a link to the next page
        shapes = [self._shapes.commit(doc, commit) for commit in commits[:per_page]]
        return JSONResponse(shapes, headers=_links(call, total))

    async def _commit(self, call: Call) -> Response:
        doc = self._found(call)
        commit = await self._resolved(doc, call.path["ref"])
        if commit is None:
            raise errors.no_commit(call.path["ref"])
        return JSONResponse({**self._shapes.commit(doc, commit), "stats": {}, "files": []})

    async def _contents(self, call: Call) -> Response:
        doc = self._found(call)
        git, path, ref = self._hub.git(doc), call.path.get("path", "").strip("/"), call.query("ref")
        if not await git.branches():
            raise errors.nothing_in_it()
        sha = await git.resolve(ref or doc["default_branch"])
        folder, _, _ = path.rpartition("/")
        siblings = (await git.tree(sha, folder) or []) if sha else []
        entry = next((each for each in siblings if path and each.path == path), None)
        if sha is None or (path and entry is None):
            raise errors.not_found()
        if entry is None or entry.kind == "tree":
            entries = await git.tree(sha, path) or []
            return JSONResponse([self._shapes.entry(doc, each, ref or doc["default_branch"]) for each in entries])
        _, content = await git.file(sha, path) or ("", b"")
        if "raw" in call.request.headers.get("accept", ""):
            return Response(content, media_type="application/vnd.github.raw; charset=utf-8")
        return JSONResponse(self._shapes.file(doc, entry, ref or doc["default_branch"], content))

    # Of the twin alone

    async def _lend_token(self, request: Request) -> Response:
        """`{"repositories", "expires_at", "writes"}` to a token for just these."""
        asked = await request.json()
        expires_at = datetime.fromisoformat(asked["expires_at"])
        token = self._hub.lend_token(asked["repositories"], expires_at, writes=asked.get("writes", False))
        return JSONResponse({"token": token}, 201)

    # Shared

    def _found(self, call: Call) -> Doc:
        return self._hub.find(call.path["owner"], call.path["repo"], call.actor)

    def _administered(self, call: Call) -> Doc:
        doc = self._found(call)
        if call.actor is None:
            raise errors.requires_authentication()
        if not call.actor.is_user:
            raise errors.not_accessible()
        return doc

    async def _resolved(self, doc: Doc, ref: str) -> Commit | None:
        git = self._hub.git(doc)
        sha = await git.resolve(ref)
        return (await git.log(sha, count=1))[0] if sha else None

    def _shape(self, doc: Doc, actor: Actor | None) -> Doc:
        may_push = actor is not None and actor.may_push(doc)
        return self._shapes.repository(doc, self._hub.owner(doc["owner"])[1], may_push=may_push)

    def _listed(self, call: Call, docs: list[Doc]) -> Response:
        return _paged(call, [self._shape(doc, call.actor) for doc in docs])


def dressed(response: Response, window: Window | None = None) -> Response:
    """`response` with the headers every answer of GitHub's carries."""
    response.headers["X-GitHub-Request-Id"] = ":".join(ids.token("", 4).upper() for _ in range(5))
    response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
    response.headers["X-GitHub-Api-Version-Selected"] = "2022-11-28"
    for name, value in (window.headers() if window else {}).items():
        response.headers[name] = value
    return response


def _paged(call: Call, items: list[Doc]) -> Response:
    page, per_page = call.page
    found = numbered_page(items, page=page, per_page=per_page)
    return JSONResponse(found.items, headers=_links(call, len(items)))


def _links(call: Call, total: int) -> dict[str, str]:
    page, per_page = call.page
    url = str(call.request.url).partition("?")[0]
    link = link_header(url, page=page, per_page=per_page, total=total)
    return {"Link": link} if link else {}
