"""The mail: a Resend segment (once called an audience) and a key that may only send."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from server.crash import nowhere
from server.errors import LegError
from server.legs import Listed, Resources
from server.legs.names import APP_ID, Moment, VendorId, is_ours
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.crash import Crash
    from server.legs import Intent
    from server.legs.turns import Turn
    from server.legs.vendor import Vendor
    from server.settings import LegName, Settings

SEGMENTS, KEYS = "/segments", "/api-keys"
PAGE = "100"


class _Segment(BaseModel):
    id: VendorId


class _Key(BaseModel):
    id: VendorId
    token: str


class _Item(BaseModel):
    id: VendorId
    name: str
    created_at: Moment


class _Page(BaseModel):
    data: list[_Item]
    has_more: bool = False


class ResendLeg:
    name: LegName = "mail"

    def __init__(self, vendor: Vendor, settings: Settings, at: Crash = nowhere) -> None:
        self._vendor = vendor
        self._settings = settings
        self._at = at

    async def make(self, intent: Intent) -> Resources:
        first, second = await self._vendor.book(2)
        answer = await self._vendor.call("POST", SEGMENTS, {"name": _segment_name(intent.app_id)}, turn=first)
        segment = self._vendor.read(_Segment, answer.body, made=True).id
        self._at("mail.segment")
        return await self._with_new_key(intent, segment, turn=second)

    async def find(self, intent: Intent) -> Resources | None:
        """The segment by its name. A key's token is shown once, so an earlier attempt's key is replaced.

        Only an earlier one's: this very attempt may have been overtaken, and a later one's key is in use.
        """
        segments = [item async for item in self._items(SEGMENTS) if item.name == _segment_name(intent.app_id)]
        if not segments:
            return None
        lost = [item.id async for item in self._items(KEYS) if -1 < _attempt(intent.app_id, item) < intent.attempt]
        self._at("mail.replacing")
        for key in lost:
            await self._remove(KEYS, key)
        return await self._with_new_key(intent, min(segments, key=lambda item: (item.created_at, item.id)).id)

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        keys = [reference["key_id"]] if "key_id" in reference else []
        segments = [reference["segment_id"]] if "segment_id" in reference else []
        if not reference:
            keys = [item.id async for item in self._items(KEYS) if _attempt(app_id, item) >= 0]
            segments = [item.id async for item in self._items(SEGMENTS) if item.name == _segment_name(app_id)]
        for key in keys:
            await self._remove(KEYS, key)
        for segment in segments:
            await self._remove(SEGMENTS, segment)

    async def listed(self) -> AsyncIterator[Listed]:
        async for item in self._items(SEGMENTS):
            app_id = item.name.removesuffix(" Users")
            if is_ours(app_id) and item.name == _segment_name(app_id):
                yield Listed(app_id, {"segment_id": item.id}, item.created_at)
        async for item in self._items(KEYS):
            found = APP_ID.match(item.name)
            if found and _attempt(found[0], item) >= 0:
                yield Listed(found[0], {"key_id": item.id}, item.created_at)

    async def _with_new_key(self, intent: Intent, segment_id: str, *, turn: Turn | None = None) -> Resources:
        if self._settings.resend_from is None:
            raise LegError(
                "No sender address is configured for mail.",
                code="no_sender",
                next_action="Set RESEND_FROM to an address of a verified domain.",
            )
        wanted: dict[str, Any] = {"name": f"{intent.app_id}-{intent.attempt}", "permission": "sending_access"}
        if self._settings.resend_domain_id:
            wanted["domain_id"] = self._settings.resend_domain_id
        key = self._vendor.read(_Key, (await self._vendor.call("POST", KEYS, wanted, turn=turn)).body, made=True)
        env = {
            "RESEND_API_KEY": key.token,
            "RESEND_AUDIENCE_ID": segment_id,
            "RESEND_FROM": self._settings.resend_from,
        }
        if self._settings.public_url:
            # A sending key may not add contacts; this token lets the app add them through us.
            env["MK0R_CONTACTS_URL"] = f"{self._settings.public_url.rstrip('/')}/relay/contacts/{intent.app_id}"
            env["MK0R_CONTACTS_TOKEN"] = "mk0rc_" + token_urlsafe(16)
        return Resources(
            {name: Secret(value) for name, value in env.items()},
            {"segment_id": segment_id, "key_id": key.id},
        )

    async def _items(self, path: str) -> AsyncIterator[_Item]:
        """Every item, to the end of the listing. Raises `LegError` when that end cannot be reached."""
        query, seen = {"limit": PAGE}, set[str]()
        while True:
            page = self._vendor.read(_Page, (await self._vendor.call("GET", path, query=query)).body)
            for item in page.data:
                yield item
            if not page.has_more:
                return
            if not page.data or page.data[-1].id in seen:
                raise self._vendor.incomplete()
            query["after"] = page.data[-1].id
            seen.add(query["after"])

    async def _remove(self, path: str, item_id: str) -> None:
        await self._vendor.call("DELETE", f"{path}/{item_id}", accept=(404,))


def _segment_name(app_id: str) -> str:
    return f"{app_id} Users"


def _attempt(app_id: str, key: _Item) -> int:
    """Which attempt of this app made the key; -1 when none did. Once, keys had no number."""
    if key.name == app_id:
        return 0
    number = key.name.removeprefix(f"{app_id}-")
    return int(number) if number.isascii() and number.isdecimal() else -1
