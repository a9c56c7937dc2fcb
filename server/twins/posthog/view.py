"""What a person sees of the project: its events, the groups and persons behind them, flags, keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from server.twins.core.view import Facts, Link, Table, Text, View

if TYPE_CHECKING:
    import sqlite3

    from server.twins.core.view import Block
    from server.twins.posthog.state import Project

SHOWN = 200
NEWEST = 30
"""Events on the front page, before what is behind them."""


class Viewing:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._store = project.store

    async def view(self, path: str) -> View:
        """The view at a path. Raises `KeyError` for one that shows nothing."""
        what, _, rest = path.partition("/")
        if not what:
            return self._front()
        name = unquote(rest)
        return {"event": self._event, "person": self._person, "group": self._group, "flag": self._flag}[what](name)

    def _front(self) -> View:
        total = self._store.one("select events from event_total")
        switched = ", ".join(name for name, on in self._project.settings().items() if on) or "nothing"
        facts = Facts(
            "Project",
            [
                ("Project key", f"phc_…{self._project.token[-4:]} (public)"),
                ("Events", str(total["events"] if total else 0)),
                ("Switched on", switched),
                ("Over quota", ", ".join(self._project.limited()) or "nothing"),
            ],
        )
        return View(
            "PostHog",
            [
                facts,
                self._events("1", most=NEWEST, title="Newest events"),
                self._groups(),
                self._persons(),
                self._flags(),
                self._keys(),
                self._recordings(),
            ],
        )

    def _events(self, where: str, *values: str, most: int = SHOWN, title: str = "Events") -> Table:
        rows = self._store.all(f"select * from event where {where} order by seq desc limit {most}", *values)  # noqa: S608 - our own words
        types = {index: kind for kind, index in self._project.groups.types().items()}

        def groups(row: sqlite3.Row) -> str:
            return ", ".join(
                f"{kind}={row[f'group_{index}']}" for index, kind in types.items() if row[f"group_{index}"]
            )

        cells = [
            [row["timestamp"][:19], Link(row["event"], f"event/{row['uuid']}"), _person_link(row), groups(row)]
            for row in rows
        ]
        return Table(title, ["When", "Event", "Distinct id", "Groups"], cells)

    def _groups(self) -> Table:
        types = {index: kind for kind, index in self._project.groups.types().items()}
        captured = "select {0} as kind, group_{0} as name from event where group_{0} <> ''"
        known = 'select group_type_index as kind, group_key as name from "group"'
        named = " union ".join([known, *(captured.format(index) for index in types)])
        rows = self._store.all(f"select * from ({named}) limit {SHOWN}")  # noqa: S608 - our own words
        return Table(
            "Groups",
            ["Type", "Group"],
            [
                [types.get(row["kind"], ""), Link(row["name"], f"group/{row['kind']}:{quote(row['name'])}")]
                for row in rows
            ],
        )

    def _persons(self) -> Table:
        rows = self._store.all(f"select * from person order by last_seen_at desc limit {SHOWN}")  # noqa: S608 - our own words
        cells = [
            [
                Link(", ".join(self._project.people.distinct_ids(row["id"])[:3]), f"person/{row['id']}"),
                row["last_seen_at"][:19],
            ]
            for row in rows
        ]
        return Table("Persons", ["Distinct ids", "Last seen"], cells)

    def _flags(self) -> Table:
        cells = [
            [Link(flag["key"], f"flag/{flag['id']}"), "on" if flag["active"] else "off", str(flag["version"])]
            for flag in self._project.flags.all()
        ]
        return Table("Feature flags", ["Key", "State", "Version"], cells)

    def _keys(self) -> Table:
        return Table(
            "Keys",
            ["Label", "Key", "Scopes"],
            [
                [
                    key.label,
                    f"{'phs_' if key.is_secret else 'phx_'}…{key.ending}",
                    ", ".join(key.scopes or ("flag definitions",)),
                ]
                for key in self._project.keys.all()
            ],
        )

    def _recordings(self) -> Table:
        rows = self._store.all(f"select * from recording order by rowid desc limit {SHOWN}")  # noqa: S608 - our own words
        cells = [[row["start_time"][:19], row["session_id"], row["distinct_id"], str(row["snapshots"])] for row in rows]
        return Table("Session recordings (counted, not kept)", ["When", "Session", "Distinct id", "Snapshots"], cells)

    def _event(self, uuid: str) -> View:
        row = self._store.one("select * from event where uuid = ?", uuid)
        if row is None:
            raise KeyError(uuid)
        told = [("When", row["timestamp"]), ("Received", row["created_at"]), ("UUID", uuid)]
        facts = Facts("Event", [*told, ("Distinct id", _person_link(row))])
        return View(row["event"], [facts, _document("Properties", row["properties"])])

    def _person(self, person_id: str) -> View:
        person = self._project.people.by_id(person_id)
        if person is None:
            raise KeyError(person_id)
        distinct_ids = self._project.people.distinct_ids(person_id)
        facts = Facts("Person", [("Distinct ids", ", ".join(distinct_ids)), ("Since", person.created_at[:19])])
        properties = _document("Properties", json.dumps(person.properties))
        return View(
            distinct_ids[0] if distinct_ids else person_id,
            [facts, properties, self._events("person_id = ?", person_id)],
        )

    def _group(self, named: str) -> View:
        index, _, key = named.partition(":")
        if not index.isdecimal() or int(index) not in self._project.groups.types().values():
            raise KeyError(named)
        group = self._project.groups.get(int(index), key)
        blocks: list[Block] = [self._events(f"group_{int(index)} = ?", key)]
        if group:
            blocks.insert(0, _document("Properties", json.dumps(group.group_properties)))
        return View(key, blocks)

    def _flag(self, flag_id: str) -> View:
        flag = self._project.flags.get(int(flag_id)) if flag_id.isdecimal() else None
        if flag is None:
            raise KeyError(flag_id)
        return View(flag["key"], [_document("Definition", json.dumps(flag))])


def _person_link(row: sqlite3.Row) -> Link:
    return Link(row["distinct_id"], f"person/{row['person_id']}")


def _document(title: str, text: str) -> Text:
    return Text(title, json.dumps(json.loads(text), indent=2, ensure_ascii=False))
