"""What stands before every control route: the key, the team's rate, and a body that is as described."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.routing import Route

from server.errors import StackError
from server.twins.core.auth import same
from server.twins.e2b.errors import wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.core import Site
    from server.twins.e2b.limits import Limits

    Handler = Callable[[Request], Awaitable[Response]]

Model = TypeVar("Model", bound=BaseModel)
PAGE = 100


class Guard:
    def __init__(self, site: Site, limits: Limits) -> None:
        self._site = site
        self._limits = limits

    def routes(self, table: Iterable[tuple[str, str, Handler]]) -> list[Route]:
        return [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in table]

    def _guarded(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            key = request.headers.get("x-api-key", "")
            if not key:
                raise wire(401, "Invalid API key, please visit https://e2b.dev/docs/quickstart/api-key")
            if not same(key, self._site.credential):
                raise wire(401, "Invalid API key: the team does not exist or the key was revoked")
            self._limits.request("team")
            try:
                return await handler(request)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "body"
                raise wire(400, f"Error when parsing request: {where}: {first['msg']}") from None
            except StackError as error:
                raise wire(500, error.message) from None

        return checked


async def body(request: Request, model: type[Model]) -> Model:
    """The request's body; none at all is an empty one. Raises `ValidationError`."""
    return model.model_validate_json(await request.body() or b"{}")


def number(request: Request, name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    """A number of the query. Raises 400."""
    given = request.query_params.get(name, "")
    if not given:
        return default
    if not given.isdigit() or int(given) < least or (most is not None and int(given) > most):
        raise wire(400, f"Error when parsing query parameter '{name}': {given}")
    return int(given)
