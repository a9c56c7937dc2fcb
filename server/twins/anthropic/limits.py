"""Requests and tokens a minute, and the headers that tell of them (Claude docs, Rate limits).

The figures are those of the highest published tier, so that nobody meets them by working.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from server.twins.anthropic.errors import error
from server.twins.anthropic.models import MODEL
from server.twins.core.limits import RateLimit

if TYPE_CHECKING:
    from server.twins.core import Site
    from server.twins.core.limits import Verdict

MINUTE = 60.0
REQUESTS, INPUT, OUTPUT, COUNTS = 4_000, 2_000_000, 400_000, 8_000
WHO = "organization"
"""Limits are the organization's; a twin has one."""


class Limits:
    def __init__(self, site: Site, organization: str) -> None:
        self._site = site
        self._organization = organization
        self._requests = RateLimit(site, "requests", limit=REQUESTS, seconds=MINUTE)
        self._input = RateLimit(site, "input_tokens", limit=INPUT, seconds=MINUTE)
        self._output = RateLimit(site, "output_tokens", limit=OUTPUT, seconds=MINUTE)
        self._counts = RateLimit(site, "count_tokens_requests", limit=COUNTS, seconds=MINUTE)

    def admit(self, input_tokens: int) -> None:
        """Count a message about to be made. Raises the 429 it is refused with."""
        self._pass("requests", self._requests.take(WHO))
        self._pass("input tokens", self._input.take(WHO, input_tokens))
        output = self._output.look(WHO)
        if output.remaining == 0 and self._site.limits.enforced:
            raise self._refusal("output tokens", output)

    def spend(self, output_tokens: int) -> None:
        """What was answered counts when it is known, even past the limit; then the next is refused."""
        left = self._output.look(WHO).remaining
        self._output.take(WHO, min(output_tokens, left))

    def admit_count(self) -> None:
        self._pass("requests", self._counts.take(WHO))

    def headers(self) -> dict[str, str]:
        requests, fed, said = self._requests.look(WHO), self._input.look(WHO), self._output.look(WHO)
        return {
            **self._told("requests", requests.limit, requests.remaining, requests.reset_seconds),
            **self._told("input-tokens", fed.limit, _rounded(fed.remaining), fed.reset_seconds),
            **self._told("output-tokens", said.limit, _rounded(said.remaining), said.reset_seconds),
            **self._told(
                "tokens",
                fed.limit + said.limit,
                _rounded(fed.remaining + said.remaining),
                max(fed.reset_seconds, said.reset_seconds),
            ),
        }

    def _told(self, of: str, limit: int, remaining: int, seconds: float) -> dict[str, str]:
        reset = (self._site.clock() + timedelta(seconds=seconds)).astimezone(UTC)
        name = f"anthropic-ratelimit-{of}"
        return {
            f"{name}-limit": str(limit),
            f"{name}-remaining": str(remaining),
            f"{name}-reset": reset.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }

    def _pass(self, of: str, verdict: Verdict) -> None:
        if not verdict.allowed:
            raise self._refusal(of, verdict)

    def _refusal(self, of: str, verdict: Verdict) -> Exception:
        told = (
            f"This request would exceed your organization's rate limit of {verdict.limit:,} {of} per minute "
            f"(org: {self._organization}, model: {MODEL}). For details, refer to: "
            "https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. Please "
            "reduce the prompt length or the maximum tokens requested, or try again later."
        )
        return error(429, told, {**self.headers(), "retry-after": str(verdict.retry_after)})


def _rounded(tokens: int) -> int:
    """Tokens left are told to the nearest thousand."""
    return round(tokens, -3)
