"""One project's events and groups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from server.twins.core import ids
from server.twins.core.auth import same
from server.twins.posthog import errors

if TYPE_CHECKING:
    from server.twins.core import Site

Doc = dict[str, Any]

MOST_GROUP_TYPES = 5
"""PostHog keeps the first five group types of a project and ignores the rest."""
LONGEST_TOKEN = 64


class Project:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._records = site.records()

    def knows(self, token: str) -> bool:
        return same(token, self._site.credential)

    def token_of(self, events: list[Doc], envelope: Doc) -> str:
        """The one project key of a request, looked for in every place an SDK may put it."""
        tokens = {str(found) for event in events if (found := _token(event)) is not None}
        if (outer := _token(envelope)) is not None:
            tokens.add(str(outer))
        if not tokens:
            raise errors.no_token()
        if len(tokens) > 1:
            raise errors.mixed_tokens()
        (token,) = tokens
        return checked_token(token)

    def capture(self, events: list[Doc], token: str, sent_at: str | None = None) -> None:
        """Keep the events, all or none. A key of no project is accepted and its events are lost, as there."""
        docs = [self._event(event, sent_at) for event in events]
        if not self.knows(token):
            return
        for doc in docs:
            if doc["event"] == "$groupidentify":
                self._identify_group(doc["properties"])
            # Delivered twice, an event is stored once: its uuid is its identity.
            self._records.put("event", doc["uuid"], doc)

    def events(self, group: str | None, name: str | None) -> list[Doc]:
        """What has been captured, oldest first; of one group key, or of one name."""
        return [
            doc
            for doc in self._records.all("event")
            if (group is None or group in doc["groups"].values()) and (name is None or doc["event"] == name)
        ]

    def groups(self) -> list[Doc]:
        return self._records.all("group")

    def _event(self, event: Doc, sent_at: str | None) -> Doc:
        name = event.get("event")
        if not name or not isinstance(name, str):
            raise errors.no_event_name()
        properties = cast("Doc", event.get("properties") or {})
        if not isinstance(properties, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - a client wrote it
            raise errors.not_events("`properties` is not an object")
        distinct_id = event.get("distinct_id") or event.get("$distinct_id") or properties.get("distinct_id")
        if not distinct_id:
            raise errors.no_distinct_id()
        now = self._site.clock()
        return {
            "uuid": str(event.get("uuid") or ids.uuid()),
            "event": name,
            "distinct_id": str(distinct_id),
            "timestamp": _timestamp(event.get("timestamp"), sent_at, now).isoformat(),
            "received_at": now.isoformat(),
            "groups": self._groups_of(properties),
            "properties": {key: value for key, value in properties.items() if key != "token"},
        }

    def _groups_of(self, properties: Doc) -> dict[str, str]:
        named = properties.get("$groups")
        if not isinstance(named, dict):
            return {}
        groups = {str(kind): str(key) for kind, key in cast("Doc", named).items()}
        return {kind: key for kind, key in groups.items() if self._has_type(kind)}

    def _identify_group(self, properties: Doc) -> None:
        kind, key = properties.get("$group_type"), properties.get("$group_key")
        if not (kind and key and self._has_type(str(kind))):
            return
        earlier = self._records.get("group", f"{kind}:{key}") or {"properties": {}}
        told = properties.get("$group_set")
        merged: Doc = {**earlier["properties"], **(cast("Doc", told) if isinstance(told, dict) else {})}
        doc: Doc = {"group_type": str(kind), "group_key": str(key), "properties": merged}
        self._records.put("group", f"{kind}:{key}", doc)

    def _has_type(self, kind: str) -> bool:
        """Whether the project has this group type, after making it if there is room."""
        if self._records.get("group_type", kind):
            return True
        index = len(self._records.all("group_type"))
        if index >= MOST_GROUP_TYPES:
            return False
        self._records.put("group_type", kind, {"group_type": kind, "group_type_index": index})
        return True


def checked_token(token: str) -> str:
    """Capture looks at a key's shape only; whose it is, is found out later."""
    if not token:
        raise errors.bad_token("empty")
    if len(token) > LONGEST_TOKEN:
        raise errors.bad_token("too_long")
    if not token.isascii():
        raise errors.bad_token("not_ascii")
    if "\0" in token:
        raise errors.bad_token("null_byte")
    if token.startswith("phx_"):
        raise errors.bad_token("personal_api_key")
    return token


def _token(doc: Doc) -> Any:
    properties = doc.get("properties")
    inner = cast("Doc", properties).get("token") if isinstance(properties, dict) else None
    return next(
        (each for each in (doc.get("api_key"), doc.get("token"), doc.get("$token"), inner) if each is not None), None
    )


def _timestamp(written: Any, sent_at: str | None, now: datetime) -> datetime:
    """When it happened by our clock: a client whose clock is wrong says by `sent_at` how wrong."""
    happened, sent = _instant(written), _instant(sent_at)
    if happened is None:
        return now
    return now - (sent - happened) if sent else happened


def _instant(written: Any) -> datetime | None:
    if not isinstance(written, str):
        return None
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
