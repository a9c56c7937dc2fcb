"""Flags for those who ask with the project key: `/flags`, the older `/decide`, and what local evaluation loads."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import JSONResponse, Response

from server.twins.core import ids
from server.twins.posthog import errors
from server.twins.posthog.capture import both
from server.twins.posthog.definitions import definitions, record, values
from server.twins.posthog.evaluation import Answer, Evaluation, Subject
from server.twins.posthog.payload import read, received
from server.twins.posthog.remote_config import config_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from server.twins.posthog.limits import Limits
    from server.twins.posthog.state import Project

Doc = dict[str, Any]

LARGEST_REQUEST = 2 * 1024 * 1024
_DECIDE_RECORDS = 4
"""The `v` of `/decide` since which it answers what `/flags?v=2` does."""
_SERVERS = ("posthog-node/", "posthog-python/", "posthog-go/", "posthog-ruby/", "posthog-php/", "posthog-java/")


class FlagRoutes:
    def __init__(self, project: Project, limits: Limits) -> None:
        self._project = project
        self._limits = limits

    def routes(self) -> list[Route]:
        return [
            *both("/flags", self._flags, "GET", "POST"),
            *both("/decide", self._decide, "GET", "POST"),
            *both("/flags/definitions", self._definitions, "GET"),
            *both("/api/feature_flag/local_evaluation", self._definitions, "GET"),
        ]

    async def _flags(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse({"featureFlags": {}, **config_of(self._project)})
        version = _version(request)
        answers, found = await self._asked(request)
        if version >= 2:  # noqa: PLR2004 - the version that has records
            flags = {flag["key"]: record(flag, answer, version) for flag, answer in answers}
            return JSONResponse({"flags": flags, **found})
        return JSONResponse({**values({flag["key"]: answer for flag, answer in answers}, 1), **found})

    async def _decide(self, request: Request) -> Response:
        version = _version(request) or 1
        answers, found = await self._asked(request)
        found = {**config_of(self._project), **found}
        if version >= _DECIDE_RECORDS:
            return JSONResponse({"flags": {flag["key"]: record(flag, answer, 2) for flag, answer in answers}, **found})
        by_key = {flag["key"]: answer for flag, answer in answers}
        if version == _DECIDE_RECORDS - 1:
            return JSONResponse({**values(by_key, 1), **found})
        active = {key: answer.value for key, answer in by_key.items() if answer.value}
        return JSONResponse({"featureFlags": active if version == 2 else [*active], **found})  # noqa: PLR2004

    async def _asked(self, request: Request) -> tuple[list[tuple[Doc, Answer]], Doc]:
        """Every flag that is meant for whoever asks, answered, and what surrounds the answers."""
        payload = read(await received(request, LARGEST_REQUEST), request.headers, request.query_params, LARGEST_REQUEST)
        asked = cast("Doc", payload) if isinstance(payload, dict) else {}
        token = asked.get("token") or asked.get("api_key") or asked.get("$token")
        if not token:
            raise errors.flags_no_token()
        if not self._project.knows(str(token)):
            raise errors.flags_unknown_token()
        found: Doc = {"errorsWhileComputingFlags": False, "requestId": ids.uuid()}
        found["evaluatedAt"] = int(self._project.now().timestamp() * 1000)
        if request.query_params.get("config") in ("true", "1"):
            found |= config_of(self._project)
        if "feature_flags" in self._project.limited():
            return [], {**found, "quotaLimited": ["feature_flags"]}
        if asked.get("disable_flags"):
            return [], found
        distinct_id = asked.get("distinct_id") or asked.get("$distinct_id")
        if distinct_id is None or distinct_id == "":
            raise errors.flags_no_distinct_id()
        flags = self._project.flags.all()
        evaluation = Evaluation(flags, self._subject(asked, str(distinct_id)), self._project.now())
        runtime = _runtime(asked, request.headers.get("user-agent", ""))
        wanted = [flag for flag in flags if flag["active"] and _meant(flag, asked, runtime)]
        return [(flag, evaluation.answer(flag)) for flag in wanted], found

    def _subject(self, asked: Doc, distinct_id: str) -> Subject:
        """What is known of them, and over it what the request says of them."""
        people, groups = self._project.people, self._project.groups
        person, types = people.by_distinct_id(distinct_id), groups.types()
        said = _doc(asked, "person_properties")
        own = {types[kind]: str(key) for kind, key in _doc(asked, "groups").items() if kind in types}
        properties = _doc(asked, "group_properties")
        told = {types[kind]: _doc(properties, kind) for kind in properties if kind in types}
        known = {index: group for index, key in own.items() if (group := groups.get(index, key))}
        return Subject(
            distinct_id=distinct_id,
            properties={**(person.properties if person else {}), **said},
            groups=own,
            group_properties={
                index: {
                    "$group_key": key,
                    **(known[index].group_properties if index in known else {}),
                    **told.get(index, {}),
                }
                for index, key in own.items()
            },
            device_id=str(asked.get("$device_id") or said.get("$device_id") or ""),
            hash_keys=self._project.flags.hash_keys(distinct_id, asked.get("$anon_distinct_id")),
        )

    async def _definitions(self, request: Request) -> Response:
        """For local evaluation. Needs a key that is not public, and names the project by the one that is."""
        token = request.query_params.get("token")
        if token is not None and not self._project.knows(token):
            raise errors.flags_unknown_token()
        key = self._project.keys.caller(request)
        if not key.is_secret:
            key.demand("feature_flag:read")
        self._limits.take("local_evaluation", key.digest)
        if "feature_flags" in self._project.limited():
            raise errors.flags_quota()
        return self.local_evaluation(request)

    def local_evaluation(self, request: Request) -> Response:
        """The definitions, or a 304 for whoever has them as they are."""
        body = json.dumps(definitions(self._project.flags.all(), self._project.groups.types())).encode()
        etag = f'W/"{sha256(body).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"ETag": etag})
        return Response(body, media_type="application/json", headers={"ETag": etag})


def _version(request: Request) -> int:
    written = request.query_params.get("v", "")
    return int(written) if written.isdecimal() else 0


def _doc(asked: Doc, name: str) -> Doc:
    value = asked.get(name)
    return cast("Doc", value) if isinstance(value, dict) else {}


def _runtime(asked: Doc, user_agent: str) -> str:
    """Whether a server or a page asks; `all` where it cannot be told."""
    said = asked.get("evaluation_runtime")
    if said in ("client", "server"):
        return str(said)
    if user_agent.startswith(_SERVERS):
        return "server"
    return "client" if user_agent.startswith("Mozilla/") else "all"


def _meant(flag: Doc, asked: Doc, runtime: str) -> bool:
    keys: Any = asked.get("flag_keys_to_evaluate")
    if isinstance(keys, list) and flag["key"] not in keys:
        return False
    contexts: Any = asked.get("evaluation_contexts") or asked.get("evaluation_environments")
    tags: list[str] = flag["evaluation_tags"]
    if isinstance(contexts, list) and tags and not any(tag in contexts for tag in tags):
        return False
    return runtime == "all" or flag["evaluation_runtime"] in ("all", runtime)
