"""The second door of a local preview: a plain address, for what does not resolve `*.localhost`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from server.local import facts

if TYPE_CHECKING:
    from server.local.home import Home

ANSWER_SECONDS = 2.0


class Doors:
    """Asks the E2B twin; a sandbox of the vendor's has no such door."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def all(self) -> dict[str, str]:
        """`{sandbox_id: "http://127.0.0.1:PORT"}`; empty where there is no twin or it does not answer."""
        remembered = facts.load(self._home.stack_file)
        if remembered is None or "e2b" not in remembered.twins:
            return {}
        admin = {"Authorization": f"Bearer {remembered.twins['e2b'].admin.reveal()}"}
        try:
            async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
                answer = await http.get(f"{remembered.base_url('e2b')}/_twin/sandboxes", headers=admin)
                answer.raise_for_status()
                listed: list[dict[str, Any]] = answer.json()
        except (httpx.HTTPError, ValueError):
            return {}
        return {one["sandbox_id"]: one["door"] for one in listed if one.get("door")}
