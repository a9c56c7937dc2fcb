"""Reading persons, groups and the project itself (PostHog docs, API: Persons, Groups, Projects)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from server.twins.posthog import errors
from server.twins.posthog.people import Person
from server.twins.posthog.private import body_of, page, page_of
from server.twins.posthog.state import PROJECT_ID, SETTINGS, written

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from server.twins.posthog.private import Door
    from server.twins.posthog.state import Project

Doc = dict[str, Any]

_NAMES = ("email", "name", "username")
_BY = {
    "distinct_id": "id in (select person_id from person_distinct_id where distinct_id = ?)",
    "email": "json_extract(properties, '$.email') = ?",
    "search": "(instr(lower(properties), lower(?1)) or id in "
    "(select person_id from person_distinct_id where instr(lower(distinct_id), lower(?1))))",
}


class PeopleApi:
    def __init__(self, project: Project, door: Door) -> None:
        self._project = project
        self._door = door

    def routes(self) -> list[Route]:
        on = self._door.routes
        one = {"GET": self._person, "DELETE": self._remove}
        return [
            *on("/persons", "person", "analytics", {"GET": self._persons}),
            *on("/persons/{id}", "person", "analytics", one),
            *on("/persons/{id}/update_property", "person", "manage", {"POST": self._update_property}),
            *on("/persons/{id}/delete_property", "person", "manage", {"POST": self._delete_property}),
            *on("/groups_types", "group", "manage", {"GET": self._group_types}),
            *on("/groups", "group", "analytics", {"GET": self._groups, "POST": self._create_group}),
            *on("/groups/find", "group", "analytics", {"GET": self._find_group}),
            *on("", "project", "manage", {"GET": self._show_project, "PATCH": self._change_project}),
        ]

    async def _persons(self, request: Request) -> Response:
        limit, offset = page_of(request)
        asked = next(((name, request.query_params[name]) for name in _BY if request.query_params.get(name)), None)
        where, values = (_BY[asked[0]], (asked[1],)) if asked else ("1", ())
        total = self._project.store.one(f"select count(*) as found from person where {where}", *values)  # noqa: S608 - our own words
        rows = self._project.store.all(
            f"select * from person where {where} order by created_at desc, id limit {limit} offset {offset}",  # noqa: S608 - our own words
            *values,
        )
        shown = [self._shown(Person.of(row)) for row in rows]
        found = page(request, shown, limit, offset, total["found"] if total else 0)
        return JSONResponse({name: found[name] for name in ("results", "next", "previous")})

    async def _person(self, request: Request) -> Response:
        return JSONResponse(self._shown(self._asked_for(request)))

    async def _remove(self, request: Request) -> Response:
        """The person goes; with `delete_events=true` what they did goes too."""
        person = self._asked_for(request)
        if request.query_params.get("delete_events") == "true":
            self._project.store.run("delete from event where person_id = ?", person.id)
        self._project.people.remove(person.id)
        return Response(status_code=202)

    async def _update_property(self, request: Request) -> Response:
        person, body = self._asked_for(request), await body_of(request)
        if "key" not in body or "value" not in body:
            missing = "key" if "key" not in body else "value"
            raise errors.invalid("This field is required.", missing, "required")
        self._project.people.set(person, {**person.properties, str(body["key"]): body["value"]})
        return Response(status_code=202)

    async def _delete_property(self, request: Request) -> Response:
        person, body = self._asked_for(request), await body_of(request)
        if "$unset" not in body:
            raise errors.invalid("This field is required.", "$unset", "required")
        left = {key: value for key, value in person.properties.items() if key != body["$unset"]}
        self._project.people.set(person, left)
        return JSONResponse({"success": True}, 201)

    def _asked_for(self, request: Request) -> Person:
        person = self._project.people.by_id(request.path_params["id"])
        if person is None:
            raise errors.not_found()
        return person

    def _shown(self, person: Person) -> Doc:
        distinct_ids = self._project.people.distinct_ids(person.id)
        name = next((str(person.properties[key]) for key in _NAMES if person.properties.get(key)), None)
        return {
            "id": person.id,
            "uuid": person.id,
            "name": name or (distinct_ids[0] if distinct_ids else ""),
            "distinct_ids": distinct_ids,
            "properties": person.properties,
            "is_identified": person.is_identified,
            "created_at": _iso(person.created_at),
            "last_seen_at": _iso(person.last_seen_at),
        }

    async def _group_types(self, request: Request) -> Response:
        types = self._project.groups.types()
        more: Doc = {"name_singular": None, "name_plural": None, "detail_dashboard": None, "default_columns": None}
        return JSONResponse([{"group_type": kind, "group_type_index": index, **more} for kind, index in types.items()])

    async def _groups(self, request: Request) -> Response:
        """`group_type_index` says of which type; `search` looks in keys and properties."""
        limit, offset = page_of(request)
        found = self._project.groups.list(
            _index(request.query_params.get("group_type_index")),
            request.query_params.get("search", ""),
            limit + 1,
            offset,
        )
        places = page(request, [], limit, offset, offset + len(found))
        shown = [{**asdict(group), "created_at": _iso(group.created_at)} for group in found[:limit]]
        return JSONResponse({"next_url": places["next"], "previous_url": places["previous"], "results": shown})

    async def _find_group(self, request: Request) -> Response:
        asked = request.query_params
        group = self._project.groups.get(_index(asked.get("group_type_index")), asked.get("group_key", ""))
        if group is None:
            raise errors.not_found()
        return JSONResponse({**asdict(group), "created_at": _iso(group.created_at)})

    async def _create_group(self, request: Request) -> Response:
        body = await body_of(request)
        index, key = _index(body.get("group_type_index")), body.get("group_key")
        if not isinstance(key, str) or not key:
            raise errors.invalid("This field is required.", "group_key", "required")
        if index not in self._project.groups.types().values():
            raise errors.invalid("Group type does not exist.", "group_type_index")
        if self._project.groups.get(index, key):
            raise errors.invalid("A group with this key already exists", "detail")
        properties = body.get("group_properties")
        self._project.groups.set(index, key, properties or {}, written(self._project.now()))
        group = self._project.groups.get(index, key)
        assert group is not None  # noqa: S101 - just made
        return JSONResponse({**asdict(group), "created_at": _iso(group.created_at)}, 201)

    async def _show_project(self, _request: Request) -> Response:
        return JSONResponse(self._project_shown())

    async def _change_project(self, request: Request) -> Response:
        body = await body_of(request)
        switched = {name: value for name, value in body.items() if name in SETTINGS}
        for name, value in switched.items():
            if not isinstance(value, bool):
                raise errors.invalid("Must be a valid boolean.", name, "invalid")
        self._project.change(switched)
        return JSONResponse(self._project_shown())

    def _project_shown(self) -> Doc:
        return {
            "id": PROJECT_ID,
            "name": "Default project",
            "api_token": self._project.token,
            "timezone": "UTC",
            "has_group_types": bool(self._project.groups.types()),
            **self._project.settings(),
        }


def _index(written_index: Any) -> int:
    if not str(written_index).isdecimal():
        raise errors.invalid("This field is required.", "group_type_index", "required")
    return int(written_index)


def _iso(instant: str) -> str:
    return f"{instant.replace(' ', 'T')}Z"
