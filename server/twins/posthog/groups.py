"""Group types and groups. A project has five types; the sixth and all after it are ignored (PostHog docs, Groups)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import sqlite3

    from server.twins.posthog.event import Event
    from server.twins.posthog.store import Store

Doc = dict[str, Any]

MOST_GROUP_TYPES = 5
LONGEST_GROUP_KEY = 400


@dataclass(frozen=True)
class Group:
    group_type_index: int
    group_key: str
    created_at: str
    group_properties: Doc

    @classmethod
    def of(cls, row: sqlite3.Row) -> Group:
        return cls(row["group_type_index"], row["group_key"], row["created_at"], json.loads(row["properties"]))


class Groups:
    def __init__(self, store: Store) -> None:
        self._store = store

    def types(self) -> dict[str, int]:
        """Group type to index, in the order they were first seen."""
        rows = self._store.all("select * from group_type order by group_type_index")
        return {row["group_type"]: row["group_type_index"] for row in rows}

    def columns(self, event: Event) -> list[str]:
        """The event's group keys by index; empty where it has none. A new type is made, if there is room."""
        keys = [""] * MOST_GROUP_TYPES
        for kind, key in event.told_groups.items():
            index = self._index(kind)
            if index is not None and len(key) <= LONGEST_GROUP_KEY:
                keys[index] = key
        return keys

    def identify(self, event: Event, now: str) -> None:
        """`$groupidentify`: make the group, or add to what is known of it."""
        kind, key = event.properties.get("$group_type"), event.properties.get("$group_key")
        told = event.properties.get("$group_set")
        if not kind or not key or len(str(key)) > LONGEST_GROUP_KEY:
            return
        index = self._index(str(kind))
        if index is not None:
            self.set(index, str(key), cast("Doc", told) if isinstance(told, dict) else {}, now)

    def set(self, index: int, key: str, properties: Doc, now: str) -> None:
        earlier = self.get(index, key)
        merged = {**(earlier.group_properties if earlier else {}), **properties}
        self._store.run(
            'insert into "group" values (?, ?, ?, ?) on conflict do update set properties = excluded.properties',
            *(index, key, now, json.dumps(merged)),
        )

    def get(self, index: int, key: str) -> Group | None:
        row = self._store.one('select * from "group" where group_type_index = ? and group_key = ?', index, key)
        return Group.of(row) if row else None

    def list(self, index: int, search: str = "", limit: int = 100, offset: int = 0) -> list[Group]:
        """Newest first; `search` is a part of a key or of a property."""
        rows = self._store.all(
            'select * from "group" where group_type_index = ? '
            "and (instr(lower(group_key), ?) or instr(lower(properties), ?)) "
            "order by created_at desc, rowid desc limit ? offset ?",
            *(index, search.lower(), search.lower(), limit, offset),
        )
        return [Group.of(row) for row in rows]

    def _index(self, kind: str) -> int | None:
        types = self.types()
        if kind in types:
            return types[kind]
        if len(types) >= MOST_GROUP_TYPES:
            return None
        self._store.run("insert into group_type values (?, ?)", len(types), kind)
        return len(types)
