"""Git's smart HTTP: who may fetch and push, and where a renamed repository has gone."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.twins.core import WireError
from server.twins.github.access import READ, WRITE
from server.twins.github.backend import Backend
from server.twins.github.git.hooks import judging_workflows

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from server.twins.github.actors import Actor
    from server.twins.github.state import Hub

Doc = dict[str, Any]

FETCH, PUSH = "git-upload-pack", "git-receive-pack"
_PATHS = {"info/refs": "GET", FETCH: "POST", PUSH: "POST"}
"""All there is under a repository's address: GitHub serves no files of it ("dumb" HTTP)."""


def git_routes(hub: Hub) -> list[BaseRoute]:
    """`/{owner}/{repo}.git/…` and, as GitHub has it, without `.git`."""
    transport = GitTransport(hub)
    return [
        Route(f"/{{owner}}/{{repo}}{suffix}/{path}", transport, methods=[method], include_in_schema=method == right)
        for path, right in _PATHS.items()
        for method in ("GET", "POST")
        for suffix in (".git", "")
    ]


class GitTransport:
    """Plain ASGI, because a push is read while its answer is already being written."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        service = _service(request)
        try:
            repository, actor = self._admitted(request, service)
        except WireError as refusal:
            await refusal.response()(scope, receive, send)
            return
        if moved := self._moved(request, repository):
            await moved(scope, receive, send)
            return
        pushing = request.method == "POST" and service == PUSH

        async def finished() -> None:
            if pushing:
                await self._hub.changes.pushed(repository["id"])

        settings, variables = self._rules(actor) if pushing else ({}, {})
        backend = Backend(self._hub.repositories.git(repository), settings, variables)
        await backend.run(request, service, receive, send, finished)

    def _admitted(self, request: Request, service: str) -> tuple[Doc, Actor | None]:
        """The repository, for those who may. A stranger is asked who they are before anything else is said."""
        owner, name = request.path_params["owner"], request.path_params["repo"]
        known = self._hub.repositories
        repository = known.named(owner, name) or known.moved(owner, name)
        need = WRITE if service == PUSH else READ
        if not request.headers.get("authorization"):
            if repository and service and self._hub.access.may(None, repository, need):
                return repository, None
            raise _who_are_you("Repository not found.")
        actor = self._actor(request)
        access = self._hub.access
        if repository is None or not service or not access.sees(actor, repository):
            raise WireError(404, "Repository not found.")
        if not access.may(actor, repository, need):
            told = f"Permission to {known.full_name(repository)}.git denied to {actor.account['login']}."
            raise WireError(403, told if actor.is_classic else "Write access to repository not granted.")
        if service == PUSH and repository["archived"]:
            raise WireError(403, "This repository was archived so it is read-only.")
        return repository, actor

    def _actor(self, request: Request) -> Actor:
        token = _password(request)
        try:
            actor = self._hub.tokens.actor(token)
        except WireError:
            actor = None  # a suspended installation's
        if actor is None:
            raise _who_are_you(
                "Invalid username or token. Password authentication is not supported for Git operations."
            )
        return actor

    def _moved(self, request: Request, repository: Doc) -> Response | None:
        """Git follows a redirect of its first request, and stays with the new address."""
        owner, name = request.path_params["owner"], request.path_params["repo"]
        full_name = self._hub.repositories.full_name(repository)
        if request.method != "GET" or full_name.lower() == f"{owner}/{name}".lower():
            return None
        location = f"{str(request.base_url).rstrip('/')}/{full_name}.git/info/refs?{request.url.query}"
        return Response(status_code=301, headers={"Location": location})

    def _rules(self, actor: Actor | None) -> tuple[dict[str, str], dict[str, str]]:
        """What git is told of a push by this caller."""
        if actor is None or self._hub.access.may_touch_workflows(actor):
            return {}, {}
        if actor.is_classic:
            return judging_workflows("Personal Access Token", "`workflow` scope")
        return judging_workflows(
            "GitHub App" if actor.installation else "Personal Access Token", "`workflows` permission"
        )


def _service(request: Request) -> str:
    """The git service asked for; empty when it is none, or asked for in the wrong way."""
    asked = request.url.path.rpartition("/")[2]
    if request.method == "GET":
        asked = request.query_params.get("service", "") if asked == "refs" else ""
    return asked if asked in (FETCH, PUSH) else ""


def _password(request: Request) -> str:
    """The token: the password of Basic authentication, whatever the user name, or a Bearer token."""
    scheme, _, value = request.headers["authorization"].partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    with suppress(ValueError):  # also bad base64 and bad UTF-8
        user, _, password = b64decode(value).decode().partition(":")
        return user if password in ("", "x-oauth-basic") else password
    return ""


def _who_are_you(message: str) -> WireError:
    return WireError(401, message, {"WWW-Authenticate": 'Basic realm="GitHub"'})
