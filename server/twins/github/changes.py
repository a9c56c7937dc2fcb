"""What is changed of a repository: by its owner's word, and by a push."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from server.twins.github import errors
from server.twins.github.accounts import now
from server.twins.github.fields import FLAGS, flag, text
from server.twins.github.git.languages import languages
from server.twins.github.names import repository_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.twins.core import Site
    from server.twins.github.repositories import Repositories

Doc = dict[str, Any]

_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
MOST_TOPICS = 20


class Changes:
    def __init__(self, site: Site, repositories: Repositories) -> None:
        self._site = site
        self._repositories = repositories

    async def update(self, doc: Doc, body: Doc) -> Doc:
        """All that the body asks for, or nothing of it."""
        values: Doc = {field: text(body, field) for field in ("description", "homepage") if field in body}
        for field in ("private", "archived", *FLAGS):
            values[field] = flag(body, field, default=doc[field])
        if body.get("visibility"):
            values["private"] = body["visibility"] != "public"
        branch, name = text(body, "default_branch"), text(body, "name")
        git = self._repositories.git(doc)
        if branch and branch not in await git.branches():
            raise errors.invalid("Repository", "invalid", "default_branch", value=branch)
        if name:
            self._repositories.move(doc, self._repositories.owner(doc), repository_name(name))
        if branch:
            await git.point_head(branch)
            values["default_branch"] = branch
        return self._repositories.change(doc, **values)

    def set_topics(self, doc: Doc, names: Sequence[Any]) -> Doc:
        topics = [*dict.fromkeys(str(name).lower() for name in names)]
        if len(topics) > MOST_TOPICS:
            raise errors.unprocessable("Validation Failed", "A repository cannot have more than 20 topics.")
        if not all(_TOPIC.fullmatch(topic) for topic in topics):
            raise errors.unprocessable(
                "Validation Failed",
                "Topics must start with a lowercase letter or number, consist of 50 characters or less, "
                "and can include hyphens.",
            )
        return self._repositories.change(doc, topics=topics)

    async def pushed(self, repository_id: int) -> None:
        """After its refs have moved: the time of it, what it is written in, and a default branch that exists."""
        doc = self._repositories.by_id(repository_id)
        if doc is None:
            return
        git, default = self._repositories.git(doc), doc["default_branch"]
        branches = await git.branches()
        if branches and default not in branches:
            default = next(iter(branches))
            await git.point_head(default)
        spoken = await languages(git, branches[default]) if branches else {}
        size, language = await git.size(), next(iter(spoken), None)
        if self._repositories.by_id(repository_id):  # it may be gone by now
            told = {"default_branch": default, "language": language, "size": size, "pushed_at": now(self._site)}
            self._repositories.change(doc, **told)
