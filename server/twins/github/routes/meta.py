"""The API's front page, its versions, and how a caller stands with the rate limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from server.twins.github.call import Json
from server.twins.github.headers import NEWEST, VERSIONS

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

_ROOT = {
    "current_user_url": "/user",
    "current_user_authorizations_html_url": "/settings/connections/applications{/client_id}",
    "authorizations_url": "/authorizations",
    "code_search_url": "/search/code?q={query}{&page,per_page,sort,order}",
    "commit_search_url": "/search/commits?q={query}{&page,per_page,sort,order}",
    "emails_url": "/user/emails",
    "emojis_url": "/emojis",
    "events_url": "/events",
    "feeds_url": "/feeds",
    "followers_url": "/user/followers",
    "following_url": "/user/following{/target}",
    "gists_url": "/gists{/gist_id}",
    "hub_url": "/hub",
    "issue_search_url": "/search/issues?q={query}{&page,per_page,sort,order}",
    "issues_url": "/issues",
    "keys_url": "/user/keys",
    "label_search_url": "/search/labels?q={query}&repository_id={repository_id}{&page,per_page}",
    "notifications_url": "/notifications",
    "organization_url": "/orgs/{org}",
    "organization_repositories_url": "/orgs/{org}/repos{?type,page,per_page,sort}",
    "organization_teams_url": "/orgs/{org}/teams",
    "public_gists_url": "/gists/public",
    "rate_limit_url": "/rate_limit",
    "repository_url": "/repos/{owner}/{repo}",
    "repository_search_url": "/search/repositories?q={query}{&page,per_page,sort,order}",
    "current_user_repositories_url": "/user/repos{?type,page,per_page,sort}",
    "starred_url": "/user/starred{/owner}{/repo}",
    "starred_gists_url": "/gists/starred",
    "topic_search_url": "/search/topics?q={query}{&page,per_page}",
    "user_url": "/users/{user}",
    "user_organizations_url": "/user/orgs",
    "user_repositories_url": "/users/{user}/repos{?type,page,per_page,sort}",
    "user_search_url": "/search/users?q={query}{&page,per_page,sort,order}",
}
_OTHERS = {"search": 30, "graphql": 5000, "integration_manifest": 5000}
"""Resources of GitHub's that have a limit of their own; none of them is here to be used up."""


def routes(door: Door) -> list[BaseRoute]:
    async def rate_limit(call: Call) -> Response:
        client = call.request.client
        verdict = door.limits.standing(call.actor, client.host if client else "")
        now = call.hub.site.clock().timestamp()
        core = _standing(verdict.limit, verdict.remaining, int(now + verdict.reset_seconds))
        others = {name: _standing(limit, limit, int(now + 3600)) for name, limit in _OTHERS.items()}
        body = {"resources": {"core": core, **others}}
        return Json(body if call.shapes.version == NEWEST else {**body, "rate": core})

    return [
        *door.on("GET /", root, "meta/meta#github-api-root"),
        *door.on("GET /rate_limit", rate_limit, "rate-limit/rate-limit#get-rate-limit-status", counted=False),
        *door.on("GET /versions", versions, "meta/meta#get-all-api-versions"),
        *door.on("GET /meta", meta, "meta/meta#get-apiname-meta-information"),
        *door.on("GET /zen", zen, "meta/meta#get-the-zen-of-github"),
    ]


async def root(call: Call) -> Response:
    return Json({name: call.shapes.base + path for name, path in _ROOT.items()})


async def versions(_call: Call) -> Response:
    return Json(sorted(VERSIONS))


async def meta(_call: Call) -> Response:
    return Json({"verifiable_password_authentication": False})


async def zen(_call: Call) -> Response:
    return PlainTextResponse("A twin is honest about what it is.")


def _standing(limit: int, remaining: int, reset: int) -> dict[str, int]:
    return {"limit": limit, "used": limit - remaining, "remaining": remaining, "reset": reset}
