"""What a request says of the form it wants, and the headers every answer of GitHub's carries."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from server.twins.github import errors

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.core import Verdict
    from server.twins.github.actors import Actor

LATEST = "2022-11-28"
"""Who names no version gets this one (GitHub docs, "API Versions")."""
NEWEST = "2026-03-10"
VERSIONS = (NEWEST, LATEST)

_GITHUB = re.compile(r"application/vnd\.github(?:\.(?P<params>[a-z0-9.-]+))?(?:\+(?P<suffix>json))?")
_PARAMS = ("raw", "html", "text", "full", "diff", "patch", "sha", "object", "base64")
_ANYTHING = ("*/*", "application/*", "application/json", "application/octet-stream", "text/html", "")

_ALWAYS = {
    "Server": "github.com",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "ETag, Link, Location, Retry-After, X-GitHub-OTP, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Used, "
        "X-RateLimit-Resource, X-RateLimit-Reset, X-OAuth-Scopes, X-Accepted-OAuth-Scopes, X-Poll-Interval, "
        "X-GitHub-Media-Type, X-GitHub-SSO, X-GitHub-Request-Id, Deprecation, Sunset"
    ),
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "origin-when-cross-origin, strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "X-XSS-Protection": "0",
}


def media_asked(request: Request) -> str:
    """The form wanted; `json` where it does not matter. Raises 415 where nothing asked for can be given."""
    accept = request.headers.get("accept", "")
    for asked in (each.partition(";")[0].strip().lower() for each in accept.split(",")):
        if asked in _ANYTHING:
            return "json"
        if match := _GITHUB.fullmatch(asked):
            params = (match["params"] or "").split(".")
            return next((param for param in params if param in _PARAMS), "json")
    raise errors.unsupported_media_type(accept)


def dressed(
    request: Request,
    response: Response,
    actor: Actor | None,
    standing: Verdict | None,
    now: datetime,
    *,
    accepted_scopes: str,
) -> Response:
    """`response` with GitHub's headers."""
    headers = response.headers
    for name, value in {**_ALWAYS, **_caching(actor), **(_limits(standing, now) if standing else {})}.items():
        headers.setdefault(name, value)
    headers["X-GitHub-Request-Id"] = ":".join(f"{secrets.randbits(bits):X}" for bits in (16, 20, 28, 28, 32))
    headers["X-GitHub-Api-Version-Selected"] = request.headers.get("x-github-api-version", LATEST)
    headers["X-GitHub-Media-Type"] = _described(request)
    if actor and actor.scopes is not None:
        headers["X-OAuth-Scopes"] = ", ".join(sorted(actor.scopes))
        headers["X-Accepted-OAuth-Scopes"] = accepted_scopes
    if actor and actor.is_user and actor.expires_at:
        ends = datetime.fromisoformat(actor.expires_at)
        headers["GitHub-Authentication-Token-Expiration"] = f"{ends:%Y-%m-%d %H:%M:%S} UTC"
    return response


def _caching(actor: Actor | None) -> dict[str, str]:
    vary = "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With"
    kept = "private" if actor else "public"
    return {"Cache-Control": f"{kept}, max-age=60, s-maxage=60", "Vary": vary}


def _limits(standing: Verdict, now: datetime) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(standing.limit),
        "X-RateLimit-Remaining": str(standing.remaining),
        "X-RateLimit-Used": str(standing.limit - standing.remaining),
        "X-RateLimit-Reset": str(int(now.timestamp() + standing.reset_seconds)),
        "X-RateLimit-Resource": "core",
    }


def _described(request: Request) -> str:
    match = _GITHUB.match(request.headers.get("accept", "").lower())
    params = [each for each in (match["params"] or "").split(".") if each and each != "v3"] if match else []
    return "; ".join(["github.v3", *(f"param={each}" for each in params), "format=json"])
