"""Deploy keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.github.access import ADMINISTER, SEE_ADMINISTRATION
from server.twins.github.call import Json, made, nothing

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

_KEYS = "/repos/{owner}/{repo}/keys"


def routes(door: Door) -> list[BaseRoute]:
    page = "deploy-keys/deploy-keys"
    return [
        *door.on(f"GET {_KEYS}", list_all, f"{page}#list-deploy-keys", SEE_ADMINISTRATION),
        *door.on(f"POST {_KEYS}", create, f"{page}#create-a-deploy-key", ADMINISTER),
        *door.on(f"GET {_KEYS}/{{key_id:int}}", get, f"{page}#get-a-deploy-key", SEE_ADMINISTRATION),
        *door.on(f"DELETE {_KEYS}/{{key_id:int}}", delete, f"{page}#delete-a-deploy-key", ADMINISTER),
    ]


async def list_all(call: Call) -> Response:
    found = call.hub.deploy_keys.all(call.repository)
    return call.listed(found, lambda key: call.shapes.deploy_key(call.repository, key))


async def create(call: Call) -> Response:
    added_by = call.author()["login"]
    key = call.hub.deploy_keys.add(call.repository, await call.body(), added_by)
    shape = call.shapes.deploy_key(call.repository, key)
    return made(shape, shape["url"])


async def get(call: Call) -> Response:
    found = call.hub.deploy_keys.get(call.repository, call.path["key_id"])
    return Json(call.shapes.deploy_key(call.repository, found))


async def delete(call: Call) -> Response:
    call.hub.deploy_keys.remove(call.hub.deploy_keys.get(call.repository, call.path["key_id"]))
    return nothing()
