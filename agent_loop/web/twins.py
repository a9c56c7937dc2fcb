"""The twins as whoever uses them needs them: addresses, keys under the names SDKs look for, the page of each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from server.local.facts import StackFacts, TwinFacts

ANSWER_SECONDS = 10.0

# The names under which each vendor's own SDK looks for where to send things, and with what.
SDK_NAMES = {
    "neon": ("NEON_API_KEY", ("NEON_API_HOST",)),
    "resend": ("RESEND_API_KEY", ("RESEND_BASE_URL", "RESEND_API_URL")),
    "posthog": ("POSTHOG_KEY", ("POSTHOG_HOST",)),
    "github": ("GITHUB_TOKEN", ("GITHUB_API_URL",)),
    "e2b": ("E2B_API_KEY", ("E2B_API_URL", "E2B_SANDBOX_URL")),
    "anthropic": ("ANTHROPIC_API_KEY", ("ANTHROPIC_BASE_URL",)),
}


async def twins_view(facts: StackFacts) -> dict[str, dict[str, Any]]:
    """`{vendor: {"base_url", "env": {NAME: value}, "page"}}`, the operator's local credentials included.

    `page` is for a person. What opens it stands behind the `#`, which no browser sends anywhere.
    """
    further = await asyncio.gather(*map(_further, facts.twins.values()))
    view: dict[str, dict[str, Any]] = {}
    for (vendor, twin), others in zip(facts.twins.items(), further, strict=True):
        key_name, url_names = SDK_NAMES[vendor]
        origin = facts.base_url(vendor)
        url = origin + ("/api/v2" if vendor == "neon" else "")
        view[vendor] = {
            "base_url": url,
            "env": {
                key_name: twin.credential.reveal(),
                **dict.fromkeys(url_names, url),
                **others,
                f"{vendor.upper()}_TWIN_TOKEN": twin.admin.reveal(),
            },
            "page": f"{origin}/_twin/#token={twin.admin.reveal()}",
        }
    return view


async def _further(twin: TwinFacts) -> dict[str, str]:
    """What opens a twin beside the operator's key; nothing from one that does not answer."""
    admin = {"Authorization": f"Bearer {twin.admin.reveal()}"}
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False, headers=admin) as http:
            answer = await http.get(twin.health_url.replace("health", "credentials"))
            answer.raise_for_status()
            return answer.json()
    except (httpx.HTTPError, ValueError):
        return {}
