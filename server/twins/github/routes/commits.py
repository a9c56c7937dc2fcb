"""Commits: listed, got with what they changed, compared."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from starlette.responses import Response

from server.twins.github import errors
from server.twins.github.access import READ
from server.twins.github.call import LARGEST_PAGE, Json
from server.twins.github.git import diff, history, objects

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

_REPO = "/repos/{owner}/{repo}"
MOST_FILES = 300
"""On one page of a commit or comparison (GitHub docs, "Get a commit")."""


def routes(door: Door) -> list[BaseRoute]:
    page = "commits/commits"
    return [
        *door.on(f"GET {_REPO}/commits", list_all, f"{page}#list-commits", READ),
        *door.on(
            f"GET {_REPO}/commits/{{ref}}/branches-where-head",
            branches_where_head,
            f"{page}#list-branches-for-head-commit",
            READ,
        ),
        *door.on(f"GET {_REPO}/commits/{{ref:path}}", get, f"{page}#get-a-commit", READ),
        *door.on(f"GET {_REPO}/compare/{{basehead:path}}", compare, f"{page}#compare-two-commits", READ),
    ]


async def list_all(call: Call) -> Response:
    git = call.git
    if not await git.branches():
        raise errors.empty_repository()
    sha = await git.resolve(call.query("sha") or call.repository["default_branch"])
    if sha is None:
        raise errors.not_found()
    only = history.Filter(
        path=call.query("path").strip("/"),
        authors=_addresses(call, call.query("author")),
        committers=_addresses(call, call.query("committer")),
        since=_moment(call.query("since")),
        until=_moment(call.query("until")),
    )
    page, per_page = call.page
    commits = await history.log(git, sha, skip=(page - 1) * per_page, count=per_page, only=only)
    links = call.links(await history.count(git, sha, only=only))
    return Json([call.shapes.commit(call.repository, commit) for commit in commits], headers=links)


def _addresses(call: Call, who: str) -> list[str]:
    """Of a user name or an address."""
    account = None if "@" in who else call.hub.accounts.named(who)
    return call.hub.accounts.emails(account) if account else [who] if who else []


def _moment(asked: str) -> str:
    """A time git can read; what is none, GitHub ignores."""
    try:
        return datetime.fromisoformat(asked).isoformat() if asked else ""
    except ValueError:
        return ""


async def get(call: Call) -> Response:
    git, ref = call.git, call.path["ref"]
    if not await git.branches():
        raise errors.empty_repository()
    sha = await git.resolve(ref)
    commit = await objects.commit(git, sha) if sha else None
    if commit is None:
        raise errors.no_commit(ref)
    parent = commit.parents[0] if commit.parents else diff.EMPTY_TREE
    match call.media:
        case "sha":
            return Response(commit.sha, media_type="application/vnd.github.sha; charset=utf-8")
        case "diff":
            return _plain(await diff.text(git, parent, commit.sha), "diff")
        case "patch":
            return _plain(await diff.mails(git, "-1", commit.sha), "patch")
        case _:
            pass
    changes = await diff.files(git, parent, commit.sha)
    shape = call.shapes.commit(call.repository, commit)
    added, removed = (sum(getattr(each, side) for each in changes) for side in ("additions", "deletions"))
    shape["stats"] = {"total": added + removed, "additions": added, "deletions": removed}
    start = (call.page[0] - 1) * MOST_FILES
    shape["files"] = [
        call.shapes.file_change(call.repository, commit.sha, each) for each in changes[start : start + MOST_FILES]
    ]
    return Json(shape)


async def compare(call: Call) -> Response:
    git, asked = call.git, call.path["basehead"]
    base_name, _, head_name = asked.partition("..." if "..." in asked else "..")
    base, head = [await git.resolve(name.rpartition(":")[2]) for name in (base_name, head_name)]
    if base is None or head is None:
        raise errors.not_found()
    compared = await history.compare(git, base, head)
    if compared is None:
        raise errors.not_found(f"No common ancestor between {base_name} and {head_name}.")
    since = compared.ancestor if "..." in asked else base
    if call.media == "diff":
        return _plain(await diff.text(git, since, head), "diff")
    if call.media == "patch":
        return _plain(await diff.mails(git, f"{base}..{head}"), "patch")
    return await _compared(call, asked, compared, since)


async def _compared(call: Call, asked: str, compared: history.Comparison, since: str) -> Response:
    """The oldest commit first; without paging, the 250 newest of them."""
    git, doc = call.git, call.repository
    page, per_page = call.page
    paged = "page" in call.request.query_params or "per_page" in call.request.query_params
    size = per_page if paged else 250
    shas = (await git.run("rev-list", "--reverse", f"{compared.base}..{compared.head}")).split()
    shown = shas[(page - 1) * size : page * size] if paged else shas[-size:]
    found = {each.sha: each for each in await history.commits(git, [*shown, compared.base, compared.ancestor])}
    shape = call.shapes.comparison(doc, asked, compared)
    shape["base_commit"] = call.shapes.commit(doc, found[compared.base])
    shape["merge_base_commit"] = call.shapes.commit(doc, found[compared.ancestor])
    shape["commits"] = [call.shapes.commit(doc, found[sha]) for sha in shown]
    changes = await diff.files(git, since, compared.head) if page == 1 else []
    shape["files"] = [call.shapes.file_change(doc, compared.head, each) for each in changes[:MOST_FILES]]
    return Json(shape, headers=call.links(len(shas)) if paged else None)


async def branches_where_head(call: Call) -> Response:
    sha = await call.git.resolve(call.path["ref"])
    if sha is None:
        raise errors.no_commit(call.path["ref"])
    names = await history.branches_at(call.git, sha)
    return Json([call.shapes.branch(call.repository, name, sha) for name in names[:LARGEST_PAGE]])


def _plain(content: bytes, kind: str) -> Response:
    return Response(content, media_type=f"application/vnd.github.{kind}; charset=utf-8")
