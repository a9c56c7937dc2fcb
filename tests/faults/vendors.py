"""What the vendors really have of a session, asked in their own words and by none of the product's code."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Collection

    from server.books.record import Session
    from server.local.facts import StackFacts
    from server.settings import LegName
    from tests.conftest import Stack


async def at_vendors(stack: Stack, session: Session, legs: Collection[LegName]) -> dict[str, list[str]]:
    """The ids of everything that carries the session's name, by leg (the mail's keys apart)."""
    return await standing(stack.facts, session.app_id, legs)


async def standing(facts: StackFacts, app_id: str, legs: Collection[LegName]) -> dict[str, list[str]]:
    looks = {"database": _projects, "mail": _segments, "git": _repositories, "vm": _sandboxes}
    found: dict[str, list[str]] = {}
    async with httpx.AsyncClient(timeout=10, verify=False) as http:
        for leg in legs:
            if leg in looks:
                found[leg] = await looks[leg](http, facts, app_id)
        if "mail" in legs:
            found["mail keys"] = await _keys(http, facts, app_id)
    return found


def on_record(session: Session, legs: Collection[LegName]) -> dict[str, list[str]]:
    """The ids the session's record has, in the same form."""
    references = {
        "database": ("database", "project_id"),
        "mail": ("mail", "segment_id"),
        "mail keys": ("mail", "key_id"),
        "git": ("git", "full_name"),
        "vm": ("vm", "sandbox_id"),
    }
    return {
        kind: [session.leg(leg).reference[name]]  # type: ignore[arg-type]
        for kind, (leg, name) in references.items()
        if leg in legs
    }


async def _get(http: httpx.AsyncClient, facts: StackFacts, vendor: str, path: str, **query: str) -> Any:
    credential = facts.twins[vendor].credential.reveal()
    headers = {"X-API-Key": credential} if vendor == "e2b" else {"Authorization": f"Bearer {credential}"}
    answer = await http.get(
        facts.base_url(vendor) + path, headers={**headers, "User-Agent": "mk0r-tests"}, params=query
    )
    answer.raise_for_status()
    return answer.json()


async def _projects(http: httpx.AsyncClient, facts: StackFacts, app_id: str) -> list[str]:
    listed = await _get(http, facts, "neon", "/api/v2/projects", search=app_id, limit="400")
    return [project["id"] for project in listed["projects"] if project["name"] == app_id]


async def _all_of(http: httpx.AsyncClient, facts: StackFacts, path: str) -> list[Any]:
    found: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = await _get(http, facts, "resend", path, limit="100", **after)
        found += page["data"]
        if not page["has_more"]:
            return found
        after = {"after": found[-1]["id"]}


async def _segments(http: httpx.AsyncClient, facts: StackFacts, app_id: str) -> list[str]:
    return [s["id"] for s in await _all_of(http, facts, "/segments") if s["name"].startswith(app_id)]


async def _keys(http: httpx.AsyncClient, facts: StackFacts, app_id: str) -> list[str]:
    return [k["id"] for k in await _all_of(http, facts, "/api-keys") if k["name"].startswith(app_id)]


async def _repositories(http: httpx.AsyncClient, facts: StackFacts, app_id: str) -> list[str]:
    """A name is unique at GitHub, so there is one or none; what a push would reach is looked at, too."""
    listed = await _get(http, facts, "github", "/user/repos", per_page="100", sort="created", direction="desc")
    return [repository["full_name"] for repository in listed if repository["name"] == app_id]


async def _sandboxes(http: httpx.AsyncClient, facts: StackFacts, app_id: str) -> list[str]:
    listed = await _get(http, facts, "e2b", "/v2/sandboxes", metadata=f"app={app_id}")
    return [sandbox["sandboxID"] for sandbox in listed]


async def inventory(facts: StackFacts) -> dict[str, dict[str, list[str]]]:
    """Everything of every session: by the session's app id, in the form of `standing`, without what is empty."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    async with httpx.AsyncClient(timeout=30, verify=False) as http:
        for project in await _all_projects(http, facts):
            found[project["name"]]["database"].append(project["id"])
        for segment in await _all_of(http, facts, "/segments"):
            found[segment["name"].removesuffix(" Users")]["mail"].append(segment["id"])
        for key in await _all_of(http, facts, "/api-keys"):
            found[key["name"].rpartition("-")[0]]["mail keys"].append(key["id"])
        for repository in await _all_repositories(http, facts):
            found[repository["name"]]["git"].append(repository["full_name"])
        for sandbox in await _get(http, facts, "e2b", "/v2/sandboxes", limit="100"):
            found[sandbox["metadata"].get("app", "")]["vm"].append(sandbox["sandboxID"])
    return {app_id: dict(kinds) for app_id, kinds in found.items() if app_id.startswith("mk0r-")}


async def _all_projects(http: httpx.AsyncClient, facts: StackFacts) -> list[Any]:
    found: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = await _get(http, facts, "neon", "/api/v2/projects", limit="400", **after)
        found += page["projects"]
        if not page["projects"] or not page.get("pagination", {}).get("cursor"):
            return found
        after = {"cursor": page["pagination"]["cursor"]}


async def _all_repositories(http: httpx.AsyncClient, facts: StackFacts) -> list[Any]:
    found: list[Any] = []
    while page := await _get(http, facts, "github", "/user/repos", per_page="100", page=str(len(found) // 100 + 1)):
        found += page
        if len(page) < 100:
            break
    return found


async def segments_and_keys(facts: StackFacts) -> dict[str, tuple[datetime, datetime]]:
    """When each session's mail was made at the vendor: its segment, its key."""
    async with httpx.AsyncClient(timeout=30) as http:
        segments = {one["name"].removesuffix(" Users"): one for one in await _all_of(http, facts, "/segments")}
        keys = {one["name"].rpartition("-")[0]: one for one in await _all_of(http, facts, "/api-keys")}
    moment = datetime.fromisoformat
    return {
        app_id: (moment(segment["created_at"]), moment(keys[app_id]["created_at"]))
        for app_id, segment in segments.items()
        if app_id.startswith("mk0r-")
    }
