"""One project: what it is sent, and what it has been told to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from server.twins.core.auth import same
from server.twins.posthog import errors
from server.twins.posthog.event import NOT_KEPT, Event, distinct_id_of, event_of
from server.twins.posthog.flags import Flags
from server.twins.posthog.groups import Groups
from server.twins.posthog.keys import Keys
from server.twins.posthog.people import People
from server.twins.posthog.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.core import Site
    from server.twins.posthog.event import Request

Doc = dict[str, Any]

PROJECT_ID = 1
MOST_RECORDINGS = 5_000
_LONGEST_SESSION_ID = 70

SETTINGS: dict[str, bool] = {
    "autocapture_opt_out": False,
    "autocapture_exceptions_opt_in": False,
    "autocapture_web_vitals_opt_in": False,
    "capture_dead_clicks": False,
    "capture_performance_opt_in": False,
    "heatmaps_opt_in": False,
    "session_recording_opt_in": False,
    "surveys_opt_in": False,
}
"""What a person can switch in a project's settings, as it is to begin with."""
QUOTAS = ("events", "recordings", "feature_flags")


class Project:
    def __init__(self, site: Site, scripts: Path | None) -> None:
        self._site = site
        self._scripts = scripts
        self.store = Store(site.data / "posthog.sqlite")
        self.people, self.groups = People(self.store), Groups(self.store)
        self.flags, self.keys = Flags(self.store, site.clock), Keys(self.store, site.admin)

    @property
    def token(self) -> str:
        """The project key. It is public: it stands in every page that captures."""
        return self._site.credential.reveal()

    def script(self, name: str) -> Path | None:
        """A part of posthog-js that pages load only when they need it; None where it is not installed."""
        path = self._scripts / name if self._scripts else None
        return path if path and path.is_file() else None

    def knows(self, token: str) -> bool:
        return same(token, self._site.credential)

    def now(self) -> datetime:
        return self._site.clock().astimezone(UTC)

    def capture(self, request: Request) -> None:
        """Keep the events, all or none. A key of no project is accepted and its events are lost, as there."""
        now = self.now()
        events = [event_of(doc, request.sent_at, now) for doc in request.events]
        if self.knows(request.token) and "events" not in self.limited():
            self.keep(events)

    def keep(self, events: list[Event]) -> None:
        now = written(self.now())
        with self.store.together():
            self.store.add_events([self._row(event, now) for event in events if event.event not in NOT_KEPT])
        self.store.prune()

    def _row(self, event: Event, now: str) -> tuple[Any, ...]:
        if event.event == "$groupidentify":
            self.groups.identify(event, now)
        groups, person_id = self.groups.columns(event), self.people.meet(event, now)
        properties = json.dumps(event.properties, ensure_ascii=False)
        session = event.properties.get("$session_id")
        return (
            *(event.uuid, event.event, event.distinct_id, person_id, written(event.timestamp), now),
            *(str(session) if session else "", *groups, properties, len(properties)),
        )

    def record(self, request: Request, size: int) -> None:
        """Count a recording's snapshots. The pictures themselves are not kept."""
        properties: Doc = request.events[0].get("properties") or {}
        session_id = properties.get("$session_id")
        if session_id is None:
            raise errors.bad_recording("submitted without session id")
        if not isinstance(session_id, str) or not 0 < len(session_id) <= _LONGEST_SESSION_ID:
            raise errors.bad_recording("has invalid session id")
        distinct_id = distinct_id_of(request.events[0], properties)
        if not distinct_id:
            raise errors.no_distinct_id()
        snapshots = sum(_snapshots(event) for event in request.events)
        if self.knows(request.token) and "recordings" not in self.limited():
            now = written(self.now())
            self.store.run(
                "insert into recording values (?, ?, ?, ?, ?, ?) on conflict do update set "
                "end_time = excluded.end_time, snapshots = snapshots + excluded.snapshots, "
                "bytes = bytes + excluded.bytes",
                *(session_id, distinct_id, now, now, snapshots, size),
            )
            oldest = "select rowid from recording order by rowid desc limit -1 offset ?"
            self.store.run(f"delete from recording where rowid in ({oldest})", MOST_RECORDINGS)  # noqa: S608 - our own words

    def settings(self) -> dict[str, bool]:
        return {**SETTINGS, **json.loads(self.store.setting("project", "{}"))}

    def change(self, settings: dict[str, bool]) -> None:
        self.store.set("project", json.dumps({**self.settings(), **settings}))

    def limited(self) -> list[str]:
        """The resources whose billing limit is reached."""
        return json.loads(self.store.setting("quota", "[]"))

    def limit(self, resources: list[str]) -> None:
        self.store.set("quota", json.dumps(resources))

    async def save(self, folder: Path) -> None:
        self.store.save(folder / "posthog.sqlite")

    async def load(self, folder: Path) -> None:
        self.store.load(folder / "posthog.sqlite")

    async def clear(self) -> None:
        self.store.clear()


def written(instant: datetime) -> str:
    """As SQLite's own functions read it, and so that text sorts as time does."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", timespec="microseconds")


def _snapshots(event: Doc) -> int:
    properties: Doc = event.get("properties") or {}
    data = properties.get("$snapshot_data")
    if isinstance(data, list):
        return len(cast("list[Any]", data))
    if isinstance(data, dict):
        return 1
    raise errors.bad_recording("submitted without snapshot data")
