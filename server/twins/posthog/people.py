"""Persons: who a distinct id belongs to, what is known of them, and how two become one.

Sources: PostHog docs "Identifying users" and "Person properties", the plugin server's person merge rules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import NAMESPACE_URL, uuid5

from server.twins.core import ids

if TYPE_CHECKING:
    import sqlite3

    from server.twins.posthog.event import Event
    from server.twins.posthog.store import Store

Doc = dict[str, Any]

MOST_PROPERTY_BYTES = 640 * 1024
_MERGES = ("$create_alias", "$merge_dangerously")
_ILLEGAL_WORDS = "anonymous guest distinctid distinct_id id not_authenticated email undefined true false"
_ILLEGAL_LOWER = frozenset(_ILLEGAL_WORDS.split())
_ILLEGAL = frozenset(("", "[object Object]", "NaN", "None", "none", "null", "0"))

_REMEMBERED_WORDS = (
    "$app_build $app_name $app_namespace $app_version $browser $browser_version $device_type $current_url "
    "$pathname $os $os_name $os_version $referring_domain $referrer $screen_height $screen_width "
    "$viewport_height $viewport_width $raw_user_agent utm_source utm_medium utm_campaign utm_content utm_name "
    "utm_term gclid fbclid msclkid"
)
_REMEMBERED = frozenset(_REMEMBERED_WORDS.split())
"""Event properties a person takes over: as they are now, and as `$initial_*` what they were first."""


@dataclass(frozen=True)
class Person:
    id: str
    created_at: str
    last_seen_at: str
    is_identified: bool
    properties: Doc

    @classmethod
    def of(cls, row: sqlite3.Row) -> Person:
        properties = json.loads(row["properties"])
        return cls(row["id"], row["created_at"], row["last_seen_at"], bool(row["is_identified"]), properties)


class People:
    def __init__(self, store: Store) -> None:
        self._store = store

    def by_distinct_id(self, distinct_id: str) -> Person | None:
        row = self._store.one(
            "select person.* from person_distinct_id join person on person.id = person_id where distinct_id = ?",
            distinct_id,
        )
        return Person.of(row) if row else None

    def by_id(self, person_id: str) -> Person | None:
        row = self._store.one("select * from person where id = ?", person_id)
        return Person.of(row) if row else None

    def distinct_ids(self, person_id: str) -> list[str]:
        rows = self._store.all(
            "select distinct_id from person_distinct_id where person_id = ? order by rowid", person_id
        )
        return [row["distinct_id"] for row in rows]

    def meet(self, event: Event, now: str) -> str:
        """Do what an event says of its person; gives that person's id."""
        told = event.properties
        if event.event == "$identify" and (anonymous := told.get("$anon_distinct_id")):
            self._merge(str(anonymous), event.distinct_id, now)
        elif event.event in _MERGES and (alias := told.get("alias")):
            self._merge(str(alias), event.distinct_id, now, dangerously=event.event == "$merge_dangerously")
        person = self.by_distinct_id(event.distinct_id)
        if not event.has_person:
            return person.id if person else personless(event.distinct_id)
        person = person or self._create([event.distinct_id], now)
        self._update(person, event, now)
        return person.id

    def remove(self, person_id: str) -> bool:
        return self._store.run("delete from person where id = ?", person_id) > 0

    def set(self, person: Person, properties: Doc, **changes: Any) -> None:
        """Keep the properties, unless they have grown too large; then the earlier ones stand."""
        text = json.dumps(properties)
        if len(text) > MOST_PROPERTY_BYTES:
            text = json.dumps(person.properties)
        self._store.run(
            "update person set properties = ?, last_seen_at = ?, is_identified = ? where id = ?",
            *(text, changes.get("last_seen_at", person.last_seen_at)),
            *(int(changes.get("is_identified", person.is_identified)), person.id),
        )

    def _create(self, distinct_ids: list[str], now: str) -> Person:
        person = Person(ids.uuid(), now, now, is_identified=False, properties={})
        self._store.run("insert into person values (?, ?, ?, 0, '{}')", person.id, now, now)
        for distinct_id in distinct_ids:
            self._own(distinct_id, person.id)
        return person

    def _own(self, distinct_id: str, person_id: str) -> None:
        self._store.run("insert or replace into person_distinct_id values (?, ?)", distinct_id, person_id)
        # What was captured before anybody knew whose it was.
        self._store.run("update event set person_id = ? where distinct_id = ?", person_id, distinct_id)

    def _update(self, person: Person, event: Event, now: str) -> None:
        told = event.properties
        fresh = {key: value for key, value in told.items() if key in _REMEMBERED}
        properties = {**_first_of(fresh), **_doc(told, "$set_once"), **person.properties, **fresh, **_doc(told, "$set")}
        if event.event in ("$groupidentify", "$exception"):
            properties = {**_doc(told, "$set_once"), **person.properties, **_doc(told, "$set")}
        unset = told.get("$unset")
        for key in cast("list[Any]", unset) if isinstance(unset, list) else []:
            properties.pop(str(key), None)
        identified = person.is_identified or event.event == "$identify"
        self.set(person, properties, last_seen_at=now, is_identified=identified)

    def _merge(self, other_id: str, into_id: str, now: str, *, dangerously: bool = False) -> None:
        """Make one person of both, with the properties of `into`; nobody identified is swallowed by another."""
        if other_id == into_id or _illegal(other_id) or _illegal(into_id):
            return
        other, into = self.by_distinct_id(other_id), self.by_distinct_id(into_id)
        if other is None and into is None:
            into = self._create([into_id, other_id], now)
        elif into is None and other is not None:
            self._own(into_id, other.id)
            into = other
        elif into is not None and other is None:
            self._own(other_id, into.id)
        elif into and other and other.id != into.id and (dangerously or not other.is_identified):
            for distinct_id in self.distinct_ids(other.id):
                self._own(distinct_id, into.id)
            self.remove(other.id)
            self.set(into, {**other.properties, **into.properties})
            earlier = min(other.created_at, into.created_at)
            self._store.run("update person set created_at = ? where id = ?", earlier, into.id)
        if into:
            self._store.run("update person set is_identified = 1 where id = ?", into.id)


def personless(distinct_id: str) -> str:
    """The id events carry of whom there is no profile: always the same for the same distinct id."""
    return str(uuid5(NAMESPACE_URL, f"person:{distinct_id}"))


def _first_of(fresh: Doc) -> Doc:
    return {f"$initial_{key.removeprefix('$')}": value for key, value in fresh.items()}


def _doc(properties: Doc, key: str) -> Doc:
    value = properties.get(key)
    return cast("Doc", value) if isinstance(value, dict) else {}


def _illegal(distinct_id: str) -> bool:
    return distinct_id.strip() in _ILLEGAL or distinct_id.strip().lower() in _ILLEGAL_LOWER
