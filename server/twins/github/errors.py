"""GitHub's errors: `{"message", "documentation_url", "status"}` and sometimes `errors`.

What a routed, authenticated call is told names the operation's own page; the door adds that (`Refusal.documented`).
Who is not let in at all, and who asks for nothing that exists, is told the API's front page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.twins.core import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS = "https://docs.github.com/rest"
_LIMITS = f"{DOCS}/overview/rate-limits-for-the-rest-api"


class Refusal(WireError):
    """An error in GitHub's form."""

    def __init__(
        self, status: int, message: str, *, docs: str = "", headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        self.docs = docs
        body = {"message": message, **more, "documentation_url": docs or DOCS, "status": str(status)}
        super().__init__(status, body, headers)

    def documented(self, page: str) -> Refusal:
        """The same, naming the page of the operation that was asked for."""
        if not self.docs and page and self.status != 401:  # noqa: PLR2004 - nobody has been let in yet
            self.body["documentation_url"] = f"{DOCS}/{page}"
        return self


# Who is not let in


def no_user_agent() -> WireError:
    return WireError(
        403,
        "Request forbidden by administrative rules. Please make sure your request has a User-Agent header "
        "(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required).",
    )


def requires_authentication() -> Refusal:
    return Refusal(401, "Requires authentication")


def bad_credentials() -> Refusal:
    return Refusal(401, "Bad credentials")


def bad_assertion(message: str = "A JSON web token could not be decoded") -> Refusal:
    """A GitHub App's JSON web token that does not hold."""
    return Refusal(401, message)


def unknown_version(asked: str, known: tuple[str, ...]) -> Refusal:
    listed = ", ".join([f'"{known[0]}" (most recent)', *(f'"{each}"' for each in known[1:])])
    return Refusal(
        400,
        f'The version you specified in the "X-GitHub-API-Version" request header, "{asked}", is not a supported '
        f"version. The following versions are currently supported: {listed}.\n",
    )


def unsupported_media_type(accept: str) -> Refusal:
    return Refusal(415, f"Unsupported 'Accept' header: '{accept}'. Must accept 'application/json'.")


# What is not there, or may not be done


def not_found(message: str = "Not Found") -> Refusal:
    """Also for what a token may not see: a 403 would say that it exists."""
    return Refusal(404, message)


def not_accessible(by: str) -> Refusal:
    """`by` is `integration` or `personal access token`."""
    return Refusal(403, f"Resource not accessible by {by}")


def forbidden(message: str) -> Refusal:
    return Refusal(403, message)


def no_admin() -> Refusal:
    return forbidden("Must have admin rights to Repository.")


def archived() -> Refusal:
    return forbidden("Repository was archived so is read-only.")


def suspended() -> Refusal:
    return forbidden("This installation has been suspended")


def server_error() -> Refusal:
    return Refusal(500, "Server Error")


# What cannot be read, or does not hold


def bad_json() -> Refusal:
    return Refusal(400, "Problems parsing JSON")


def not_an_object() -> Refusal:
    return Refusal(400, "Body should be a JSON object")


def unprocessable(message: str, *errors: Any) -> Refusal:
    return Refusal(422, message, errors=[*errors]) if errors else Refusal(422, message)


def not_supplied(field: str) -> Refusal:
    return unprocessable(f'Invalid request.\n\n"{field}" wasn\'t supplied.')


def wrong_type(field: str, value: Any, kind: str) -> Refusal:
    return unprocessable(f"Invalid request.\n\nFor 'properties/{field}', {value!r} is not {kind}.")


def invalid(resource: str, code: str, field: str | None = None, **more: Any) -> Refusal:
    """`Validation Failed`, with the one thing that failed."""
    named = {"field": field} if field else {}
    return unprocessable("Validation Failed", {"resource": resource, "code": code, **named, **more})


def name_exists() -> Refusal:
    return _creation_failed("name already exists on this account")


def name_too_long() -> Refusal:
    return _creation_failed("name is too long (maximum is 100 characters)")


def _creation_failed(message: str) -> Refusal:
    failed = {"resource": "Repository", "code": "custom", "field": "name", "message": message}
    return unprocessable("Repository creation failed.", failed)


def conflict(message: str) -> Refusal:
    return Refusal(409, message)


def empty_repository() -> Refusal:
    return conflict("Git Repository is empty.")


def no_commit(ref: str) -> Refusal:
    return unprocessable(f"No commit found for SHA: {ref}")


def moved(url: str, *, changes: bool) -> Refusal:
    """Where a name has gone. A request that changes something must be sent again as it is: 307."""
    status, message = (307, "Temporary Redirect") if changes else (301, "Moved Permanently")
    return Refusal(status, message, headers={"Location": url}, url=url)


# Limits


def rate_limited(who: str) -> Refusal:
    """The primary limit; who has no token is told that one would help."""
    return Refusal(403, f"API rate limit exceeded for {who}.", docs=_LIMITS)


def anonymous_rate_limited(address: str) -> Refusal:
    return Refusal(
        403,
        f"API rate limit exceeded for {address}. (But here's the good news: Authenticated requests get a higher "
        "rate limit. Check out the documentation for more details.)",
        docs=_LIMITS,
    )


def secondary_rate_limited(retry_after: int) -> Refusal:
    """Too many points in a minute, or too many requests at once."""
    return Refusal(
        429,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        docs=f"{_LIMITS}#about-secondary-rate-limits",
        headers={"Retry-After": str(retry_after)},
    )


def content_rate_limited(retry_after: int) -> Refusal:
    return Refusal(
        403,
        "You have exceeded a secondary rate limit and have been temporarily blocked from content creation. "
        "Please retry your request again later.",
        docs=f"{_LIMITS}#about-secondary-rate-limits",
        headers={"Retry-After": str(retry_after)},
    )
