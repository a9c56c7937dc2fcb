"""PostHog's refusals: plain text from capture, and JSON for who is not known by the flags service."""

from __future__ import annotations

from server.twins.core import WireError


def undecodable(why: str) -> WireError:
    return WireError(400, f"failed to decode request: {why}")


def unparsable(why: str) -> WireError:
    return WireError(400, f"failed to parse request: {why}")


def not_events(why: str) -> WireError:
    return WireError(400, f"failed to hydrate events from request: {why}")


def empty_batch() -> WireError:
    return WireError(400, "request holds no event")


def empty_payload() -> WireError:
    return WireError(400, "request missing data payload")


def no_event_name() -> WireError:
    return WireError(400, "event submitted with an empty event name")


def no_distinct_id() -> WireError:
    return WireError(400, "event submitted without a distinct_id")


def no_token() -> WireError:
    return WireError(401, "event submitted without an api_key")


def mixed_tokens() -> WireError:
    return WireError(401, "batch submitted with inconsistent api_key values")


def bad_token(reason: str) -> WireError:
    return WireError(401, f"API key is not valid: {reason}")


def too_big(limit: int) -> WireError:
    return WireError(413, f"maximum event size exceeded: {limit} bytes")


def flags_no_token() -> WireError:
    return _authentication(
        "not_authenticated", "No API token provided. Please include a valid API token in your request."
    )


def flags_unknown_token() -> WireError:
    return _authentication(
        "authentication_failed",
        "The provided API key is invalid or has expired. Please check your API key and try again.",
    )


def flags_no_distinct_id() -> WireError:
    return WireError(400, "The distinct_id field is missing from the request. Please include a valid identifier.")


def _authentication(code: str, detail: str) -> WireError:
    return WireError(401, {"type": "authentication_error", "code": code, "detail": detail, "attr": None})
