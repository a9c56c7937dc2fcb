"""The mail: a Resend segment (once called an audience) and a key that may only send."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from server.errors import LegError
from server.legs import Resources
from server.secrets import Secret

if TYPE_CHECKING:
    from server.legs.vendor import Vendor
    from server.settings import LegName, Settings


class _Segment(BaseModel):
    id: str


class _Key(BaseModel):
    id: str
    token: str


class ResendLeg:
    name: LegName = "mail"

    def __init__(self, vendor: Vendor, settings: Settings) -> None:
        self._vendor = vendor
        self._settings = settings

    async def make(self, app_id: str) -> Resources:
        answer = await self._vendor.call("POST", "/segments", {"name": _segment_name(app_id)})
        return await self._with_new_key(app_id, self._vendor.read(_Segment, answer.body).id)

    async def find(self, app_id: str) -> Resources | None:
        """The segment by its name. A key's token is shown once, so a key that is there is replaced."""
        segment = await self._listed("/segments", _segment_name(app_id))
        if segment is None:
            return None
        if lost := await self._listed("/api-keys", app_id):
            await self._vendor.call("DELETE", f"/api-keys/{lost}", accept=(404,))
        return await self._with_new_key(app_id, segment)

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        key = reference.get("key_id") or await self._listed("/api-keys", app_id)
        if key:
            await self._vendor.call("DELETE", f"/api-keys/{key}", accept=(404,))
        segment = reference.get("segment_id") or await self._listed("/segments", _segment_name(app_id))
        if segment:
            await self._vendor.call("DELETE", f"/segments/{segment}", accept=(404,))

    async def _with_new_key(self, app_id: str, segment_id: str) -> Resources:
        wanted: dict[str, Any] = {"name": app_id, "permission": "sending_access"}
        if self._settings.resend_domain_id:
            wanted["domain_id"] = self._settings.resend_domain_id
        key = self._vendor.read(_Key, (await self._vendor.call("POST", "/api-keys", wanted)).body)
        if self._settings.resend_from is None:
            raise LegError(
                "No sender address is configured for mail.",
                code="no_sender",
                next_action="Set RESEND_FROM to an address of a verified domain.",
            )
        env = {
            "RESEND_API_KEY": key.token,
            "RESEND_AUDIENCE_ID": segment_id,
            "RESEND_FROM": self._settings.resend_from,
        }
        if self._settings.public_url:
            # A sending key may not add contacts; this token lets the app add them through us.
            env["MK0R_CONTACTS_URL"] = f"{self._settings.public_url.rstrip('/')}/relay/contacts/{app_id}"
            env["MK0R_CONTACTS_TOKEN"] = "mk0rc_" + token_urlsafe(16)
        return Resources(
            {name: Secret(value) for name, value in env.items()},
            {"segment_id": segment_id, "key_id": key.id},
        )

    async def _listed(self, path: str, name: str) -> str | None:
        """The id of the item with exactly this name, read to the end of the listing."""
        query = {"limit": "100"}
        while True:
            page = (await self._vendor.call("GET", path, query=query)).body
            items: list[dict[str, Any]] = page.get("data", [])
            if found := next((item["id"] for item in items if item["name"] == name), None):
                return found
            if not page.get("has_more") or not items:
                return None
            query["after"] = items[-1]["id"]


def _segment_name(app_id: str) -> str:
    return f"{app_id} Users"
