"""envd's `filesystem.Filesystem` service: every operation done by a child with the sandbox's own rights and view."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.filesystem import filesystem_pb as pb
from protobuf.wkt import Timestamp

from server.twins.e2b.errors import FileTrouble, as_connect
from server.vm.image import WORKDIR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from server.twins.e2b.guest import Guest

TYPES = {"file": pb.FileType.FILE, "directory": pb.FileType.DIRECTORY, "symlink": pb.FileType.SYMLINK}


def absolute(path: str) -> str:
    """A path of the sandbox, made absolute: relative ones are the template's working folder's."""
    if path == "~" or path.startswith("~/"):
        path = "/root" + path[1:]
    return posixpath.normpath(posixpath.join(WORKDIR, path))


def entry(described: dict[str, Any]) -> pb.EntryInfo:
    seconds, nanos = divmod(described["modified"], 1_000_000_000)
    return pb.EntryInfo(
        name=described["name"],
        type=TYPES[described["type"]],
        path=described["path"],
        size=described["size"],
        mode=described["mode"],
        permissions=described["permissions"],
        owner=described["owner"],
        group=described["group"],
        modified_time=Timestamp(seconds=seconds, nanos=nanos),
        symlink_target=described["target"],
    )


class FilesystemService:
    """The service on the wire. `find` gives a request's sandbox, or raises what envd would."""

    def __init__(self, find: Callable[[Any], Awaitable[Guest]]) -> None:
        self._find = find

    async def _do(self, ctx: Any, function: str, **arguments: Any) -> Any:
        guest = await self._find(ctx)
        try:
            return (await guest.call(function, **arguments))[0]
        except FileTrouble as trouble:
            raise as_connect(trouble) from None

    async def stat(self, request: pb.StatRequest, ctx: Any) -> pb.StatResponse:
        return pb.StatResponse(entry=entry(await self._do(ctx, "info", path=absolute(request.path))))

    async def list_dir(self, request: pb.ListDirRequest, ctx: Any) -> pb.ListDirResponse:
        found = await self._do(ctx, "listing", path=absolute(request.path), depth=max(1, request.depth))
        return pb.ListDirResponse(entries=[entry(each) for each in found])

    async def make_dir(self, request: pb.MakeDirRequest, ctx: Any) -> pb.MakeDirResponse:
        return pb.MakeDirResponse(entry=entry(await self._do(ctx, "make_folder", path=absolute(request.path))))

    async def move(self, request: pb.MoveRequest, ctx: Any) -> pb.MoveResponse:
        source, destination = absolute(request.source), absolute(request.destination)
        return pb.MoveResponse(entry=entry(await self._do(ctx, "move", source=source, destination=destination)))

    async def remove(self, request: pb.RemoveRequest, ctx: Any) -> pb.RemoveResponse:
        await self._do(ctx, "remove", path=absolute(request.path))
        return pb.RemoveResponse()

    async def watch_dir(self, request: pb.WatchDirRequest, ctx: Any) -> AsyncIterator[pb.WatchDirResponse]:
        raise ConnectError(Code.UNIMPLEMENTED, "this twin does not watch folders")
        yield  # the caller expects a stream

    async def create_watcher(self, request: pb.CreateWatcherRequest, ctx: Any) -> pb.CreateWatcherResponse:
        raise ConnectError(Code.UNIMPLEMENTED, "this twin does not watch folders")

    async def get_watcher_events(self, request: pb.GetWatcherEventsRequest, ctx: Any) -> pb.GetWatcherEventsResponse:
        raise ConnectError(Code.UNIMPLEMENTED, "this twin does not watch folders")

    async def remove_watcher(self, request: pb.RemoveWatcherRequest, ctx: Any) -> pb.RemoveWatcherResponse:
        raise ConnectError(Code.UNIMPLEMENTED, "this twin does not watch folders")
