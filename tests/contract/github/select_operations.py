"""`python -m tests.contract.github.select_operations api.github.com.json OUT`: the part of GitHub's description that
`tests.contract.distil` is given.

The whole has more than a thousand operations, most of them of products that are no concern here. Kept are those of
accounts, repositories, git, collaborators, keys and Apps; of the others the names go to `github.others.txt`. Three
things are said as GitHub does them and its description does not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]

KEPT = {
    ("apps", "apps"),
    ("apps", "installations"),
    ("branches", "branches"),
    ("branches", "branch-protection"),
    ("collaborators", "collaborators"),
    ("collaborators", "invitations"),
    ("commits", "commits"),
    ("deploy-keys", "deploy-keys"),
    ("git", "blobs"),
    ("git", "commits"),
    ("git", "refs"),
    ("git", "tags"),
    ("git", "trees"),
    ("meta", "meta"),
    ("orgs", "members"),
    ("orgs", "orgs"),
    ("rate-limit", "rate-limit"),
    ("repos", "contents"),
    ("repos", "forks"),
    ("repos", "repos"),
    ("repos", "rules"),
    ("repos", "webhooks"),
    ("users", "users"),
}
METHODS = ("get", "post", "put", "patch", "delete")
OTHERS = Path(__file__).parents[1] / "described" / "github.others.txt"


def selected(description: Json) -> Json:
    paths: dict[str, Json] = {}
    for path, item in description["paths"].items():
        for method, operation in item.items():
            if method in METHODS and _section(operation) in KEPT:
                paths.setdefault(path, {})[method] = _corrected(path, method, operation)
    return {**description, "paths": paths}


def others(description: Json) -> list[str]:
    """The names of the operations that are not kept."""
    return [
        f"{method.upper()} {path}"
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS and _section(operation) not in KEPT
    ]


def _section(operation: Json) -> tuple[str, str]:
    told = operation["x-github"]
    return told["category"], told["subcategory"]


def _corrected(path: str, method: str, operation: Json) -> Json:
    answers: Json = {**operation["responses"]}
    if path.startswith("/repos/{owner}/{repo}"):  # a repository that was renamed or transferred
        answers.setdefault("301" if method == "get" else "307", {"description": "Moved"})
    if (method, path) == ("get", "/app/installations"):  # described as a user and an enterprise at once
        schema = {"type": "array", "items": {"$ref": "#/components/schemas/installation"}}
        answers["200"] = {"content": {"application/json": {"schema": schema}}}
    if (method, path) == ("get", "/repos/{owner}/{repo}/contents/{path}"):  # one type of content for each form
        forms = [each["schema"] for each in answers["200"]["content"].values()]
        answers["200"] = {"content": {"application/json": {"schema": {"anyOf": forms}}}}
    return {**operation, "responses": answers}


if __name__ == "__main__":
    whole = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(selected(whole)))
    OTHERS.write_text("\n".join(others(whole)) + "\n")
