"""PostHog's refusals. Capture speaks plain text, the newer capture its own JSON, and all else REST-framework JSON.

Sources: capture service `api.rs` and `v1/error.rs`, flags service `api/errors.rs`, drf-exceptions-hog.
"""

from __future__ import annotations

from math import ceil

from server.twins.core import WireError

BEARER = {"WWW-Authenticate": "Bearer"}


def undecodable(why: str) -> WireError:
    return WireError(400, f"failed to decode request: {why}")


def unparsable(why: str) -> WireError:
    return WireError(400, f"failed to parse request: {why}")


def not_events() -> WireError:
    return unparsable("data did not match any variant of untagged enum RawRequest")


def no_event_field() -> WireError:
    return WireError(400, "failed to hydrate events from request: non-engage request missing event name attribute")


def empty_batch() -> WireError:
    return WireError(400, "request holds no event")


def empty_payload() -> WireError:
    return WireError(400, "request missing data payload")


def filtered_payload() -> WireError:
    return WireError(400, "payload empty after filtering invalid event types")


def no_event_name() -> WireError:
    return WireError(400, "event submitted with an empty event name")


def no_distinct_id() -> WireError:
    return WireError(400, "event submitted without a distinct_id")


def bad_recording(what: str) -> WireError:
    return WireError(400, f"replay event {what}")


def no_token() -> WireError:
    return WireError(401, "event submitted without an api_key")


def mixed_tokens() -> WireError:
    return WireError(401, "batch submitted with inconsistent api_key values")


def bad_token(reason: str) -> WireError:
    return WireError(401, f"API key is not valid: {reason}")


def too_big(what: str) -> WireError:
    return WireError(413, f"maximum event size exceeded: {what}")


def v1(status: int, tag: str, description: str) -> WireError:
    """A refusal of the newer capture, which answers in JSON."""
    uri = (
        "https://posthog.com/docs/billing/limits" if tag == "billing_limit_exceeded" else "https://posthog.com/docs/api"
    )
    body = {"error": tag, "error_description": description, "error_uri": uri}
    return WireError(status, body, {"Accept": "application/json", "Accept-Encoding": "gzip, deflate, br, zstd"})


def flags_no_token() -> WireError:
    return _rest(
        401,
        "authentication_error",
        "not_authenticated",
        "No API token provided. Please include a valid API token in your request.",
    )


def flags_unknown_token() -> WireError:
    return _rest(
        401,
        "authentication_error",
        "authentication_failed",
        "The provided API key is invalid or has expired. Please check your API key and try again.",
    )


def flags_no_distinct_id() -> WireError:
    return WireError(400, "The distinct_id field is missing from the request. Please include a valid identifier.")


def flags_quota() -> WireError:
    return WireError(402, "Billing limit reached. Please upgrade your plan.")


def project_token_invalid() -> WireError:
    return _rest(
        401,
        "authentication_error",
        "invalid_api_key",
        "Project API key invalid. You can find your project API key in PostHog project settings.",
    )


def not_authenticated() -> WireError:
    return _rest(
        401,
        "authentication_error",
        "not_authenticated",
        "Authentication credentials were not provided.",
        headers=BEARER,
    )


def bad_personal_key(source: str) -> WireError:
    detail = f"Personal API key found in request {source} is invalid."
    return _rest(401, "authentication_error", "authentication_failed", detail, headers=BEARER)


def bad_secret_key() -> WireError:
    return _rest(401, "authentication_error", "authentication_failed", "Secret API token is invalid.", headers=BEARER)


def missing_scope(scope: str) -> WireError:
    return forbidden(f"API key missing required scope '{scope}'")


def forbidden(detail: str) -> WireError:
    return _rest(403, "authentication_error", "permission_denied", detail)


def not_found(detail: str = "Not found.") -> WireError:
    return _rest(404, "invalid_request", "not_found", detail)


def method_not_allowed(detail: str) -> WireError:
    return _rest(405, "invalid_request", "method_not_allowed", detail)


def invalid(detail: str, attr: str | None = None, code: str = "invalid_input") -> WireError:
    return _rest(400, "validation_error", code, detail, attr)


def malformed(detail: str) -> WireError:
    return _rest(400, "invalid_request", "parse_error", detail)


def throttled(seconds: float) -> WireError:
    wait = max(1, ceil(seconds))
    plural = "second" if wait == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {wait} {plural}."
    return _rest(429, "throttled_error", "throttled", detail, headers={"Retry-After": str(wait)})


def _rest(
    status: int, kind: str, code: str, detail: str, attr: str | None = None, *, headers: dict[str, str] | None = None
) -> WireError:
    return WireError(status, {"type": kind, "code": code, "detail": detail, "attr": attr}, headers)
