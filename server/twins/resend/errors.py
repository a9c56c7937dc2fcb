"""Resend's errors: `{"statusCode", "name", "message"}` (Resend docs, "Errors")."""

from __future__ import annotations

from server.twins.core import WireError


def _error(status: int, name: str, message: str) -> WireError:
    return WireError(status, {"statusCode": status, "message": message, "name": name})


def no_user_agent() -> WireError:
    """Answered by the network in front of the API, which is why it is not JSON."""
    return WireError(403, "error code: 1010")


def missing_api_key() -> WireError:
    return _error(401, "missing_api_key", "Missing API key in the authorization header.")


def restricted_api_key() -> WireError:
    return _error(401, "restricted_api_key", "This API key is restricted to only send emails")


def invalid_api_key() -> WireError:
    return _error(403, "invalid_api_key", "API key is invalid")


def not_found(what: str) -> WireError:
    return _error(404, "not_found", f"{what} not found")


def no_such_route() -> WireError:
    return _error(404, "not_found", "The requested endpoint does not exist.")


def method_not_allowed() -> WireError:
    return _error(405, "method_not_allowed", "This endpoint does not support the specified HTTP method.")


def too_large() -> WireError:
    return _error(413, "validation_error", "The request body is too large. An email may have at most 40MB.")


def bad_json() -> WireError:
    return _error(400, "validation_error", "Request body must be valid JSON.")


def missing_field(name: str) -> WireError:
    return _error(422, "missing_required_field", f"Missing `{name}` field.")


def invalid(message: str) -> WireError:
    return _error(422, "validation_error", message)


def not_a_uuid(name: str) -> WireError:
    return _error(422, "invalid_parameter", f"The `{name}` must be a valid UUID.")


def forbidden(message: str) -> WireError:
    return _error(403, "validation_error", message)


def invalid_access() -> WireError:
    return _error(422, "invalid_access", 'Access must be "full_access" | "sending_access"')


def invalid_region() -> WireError:
    return _error(422, "invalid_region", 'Region must be "us-east-1" | "eu-west-1" | "sa-east-1" | "ap-northeast-1"')


def invalid_attachment(message: str) -> WireError:
    return _error(422, "invalid_attachment", message)


def invalid_from() -> WireError:
    return _error(422, "invalid_from_address", f"Invalid `from` field. {_ADDRESS_FORM}")


def invalid_address(field: str) -> WireError:
    return _error(422, "validation_error", f"Invalid `{field}` field. {_ADDRESS_FORM}")


def example_domain(field: str) -> WireError:
    return invalid(
        f"Invalid `{field}` field. Please use our testing email address instead of domains like `example.com`. "
        "See our documentation for more information."
    )


def unverified_domain(domain: str) -> WireError:
    return forbidden(
        f"The {domain} domain is not verified. Please, add and verify your domain on https://resend.com/domains"
    )


def only_to_yourself(owner: str) -> WireError:
    """From `@resend.dev`, which belongs to everybody."""
    return forbidden(
        f"You can only send testing emails to your own email address ({owner}). To send emails to other recipients, "
        "please verify a domain at resend.com/domains, and change the `from` address to an email using this domain."
    )


def key_of_another_domain(domain: str) -> WireError:
    return forbidden(f"This API key is not authorized to send emails from {domain}")


def domain_exists() -> WireError:
    return forbidden("The domain has been registered already.")


def invalid_idempotency_key() -> WireError:
    return _error(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")


def idempotency_key_reused() -> WireError:
    return _error(409, "invalid_idempotent_request", "Same idempotency key used with a different request payload.")


def idempotency_key_in_use() -> WireError:
    return _error(
        409,
        "concurrent_idempotent_requests",
        "Same idempotency key used while original request is still in progress.",
    )


def rate_limited(limit: int) -> WireError:
    return _error(
        429,
        "rate_limit_exceeded",
        f"Too many requests. You can only make {limit} requests per second. See rate limit response headers for more "
        "information. Or contact support to increase rate limit.",
    )


def daily_quota() -> WireError:
    return _error(429, "daily_quota_exceeded", "You have reached your daily email sending quota.")


def monthly_quota() -> WireError:
    return _error(429, "monthly_quota_exceeded", "You have reached your monthly email sending quota.")


def failed() -> WireError:
    """The twin's own mistake."""
    return _error(500, "internal_server_error", "An unexpected error occurred.")


_ADDRESS_FORM = "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."
