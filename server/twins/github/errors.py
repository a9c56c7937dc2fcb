"""GitHub's errors: `{"message", "documentation_url", "status"}` and sometimes `errors` (REST docs)."""

from __future__ import annotations

from typing import Any

from server.twins.core import WireError

_DOCS = "https://docs.github.com/rest"


def _error(status: int, message: str, *, docs: str = "", **more: Any) -> WireError:
    return WireError(status, {"message": message, **more, "documentation_url": _DOCS + docs, "status": str(status)})


def no_user_agent() -> WireError:
    return WireError(
        403,
        "Request forbidden by administrative rules. Please make sure your request has a User-Agent header "
        "(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required).",
    )


def requires_authentication() -> WireError:
    return _error(401, "Requires authentication")


def bad_credentials() -> WireError:
    return _error(401, "Bad credentials")


def not_found() -> WireError:
    """Also for what a token may not see: a 403 would say that it exists."""
    return _error(404, "Not Found")


def not_accessible() -> WireError:
    return _error(403, "Resource not accessible by personal access token")


def rate_limited(user_id: int) -> WireError:
    return _error(
        403,
        f"API rate limit exceeded for user ID {user_id}.",
        docs="/overview/rate-limits-for-the-rest-api",
    )


def bad_json() -> WireError:
    return _error(400, "Problems parsing JSON")


def not_an_object() -> WireError:
    return _error(400, "Body should be a JSON object")


def not_supplied(field: str) -> WireError:
    return _error(422, f'Invalid request.\n\n"{field}" wasn\'t supplied.')


def wrong_type(field: str, value: Any, kind: str) -> WireError:
    return _error(422, f"Invalid request.\n\nFor 'properties/{field}', {value!r} is not a {kind}.")


def name_exists() -> WireError:
    return _creation_failed("custom", "name already exists on this account")


def name_too_long() -> WireError:
    return _creation_failed("custom", "name is too long (maximum is 100 characters)")


def _creation_failed(code: str, message: str) -> WireError:
    return _error(
        422,
        "Repository creation failed.",
        docs="/repos/repos#create-a-repository-for-the-authenticated-user",
        errors=[{"resource": "Repository", "code": code, "field": "name", "message": message}],
    )


def no_such_branch(name: str) -> WireError:
    return _error(
        422,
        "Validation Failed",
        errors=[{"resource": "Repository", "code": "invalid", "field": "default_branch", "value": name}],
    )


def empty_repository() -> WireError:
    return _error(409, "Git Repository is empty.", docs="/commits/commits#list-commits")


def nothing_in_it() -> WireError:
    return _error(404, "This repository is empty.", docs="/repos/contents#get-repository-content")


def no_commit(ref: str) -> WireError:
    return _error(422, f"No commit found for SHA: {ref}", docs="/commits/commits#get-a-commit")


def no_branch() -> WireError:
    return _error(404, "Branch not found", docs="/branches/branches#get-a-branch")


def moved(url: str) -> WireError:
    return WireError(301, {"message": "Moved Permanently", "url": url, "documentation_url": _DOCS}, {"Location": url})
