"""envd's `filesystem.Filesystem` service: every operation done by a child with the sandbox's own rights and view."""

from __future__ import annotations

import asyncio
import posixpath
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.filesystem import filesystem_pb as pb
from protobuf import Oneof
from protobuf.wkt import Timestamp

from server.twins.core import ids
from server.twins.e2b.errors import FileTrouble, as_connect
from server.twins.e2b.process_service import budget, keep_alive
from server.twins.e2b.watch import Watch
from server.vm import image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from server.twins.e2b.guest import Guest
    from server.twins.e2b.machine import Machine

TYPES = {"file": pb.FileType.FILE, "directory": pb.FileType.DIRECTORY, "symlink": pb.FileType.SYMLINK}


def absolute(path: str, workdir: str) -> str:
    """A path of the sandbox, made absolute: relative ones are the template's working folder's."""
    if path == "~" or path.startswith("~/"):
        path = image.HOME + path[1:]
    return posixpath.normpath(posixpath.join(workdir, path))


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
        is_symlink=described["target"] is not None,
        metadata=described["metadata"],
    )


class FilesystemService:
    """The service on the wire. `find` gives a request's sandbox, or raises what envd would."""

    def __init__(self, find: Callable[[Any], Awaitable[Machine]]) -> None:
        self._find = find

    async def _do(self, ctx: Any, function: str, **paths: Any) -> Any:
        machine = await self._find(ctx)
        arguments = {
            name: absolute(value, machine.record.workdir) if isinstance(value, str) else value
            for name, value in paths.items()
        }
        try:
            return (await machine.guest.call(function, **arguments))[0]
        except FileTrouble as trouble:
            raise as_connect(trouble) from None

    async def stat(self, request: pb.StatRequest, ctx: Any) -> pb.StatResponse:
        return pb.StatResponse(entry=entry(await self._do(ctx, "info", path=request.path)))

    async def list_dir(self, request: pb.ListDirRequest, ctx: Any) -> pb.ListDirResponse:
        found = await self._do(ctx, "listing", path=request.path, depth=max(1, request.depth))
        return pb.ListDirResponse(entries=[entry(each) for each in found])

    async def make_dir(self, request: pb.MakeDirRequest, ctx: Any) -> pb.MakeDirResponse:
        return pb.MakeDirResponse(entry=entry(await self._do(ctx, "make_folder", path=request.path)))

    async def move(self, request: pb.MoveRequest, ctx: Any) -> pb.MoveResponse:
        moved = await self._do(ctx, "move", source=request.source, destination=request.destination)
        return pb.MoveResponse(entry=entry(moved))

    async def remove(self, request: pb.RemoveRequest, ctx: Any) -> pb.RemoveResponse:
        await self._do(ctx, "remove", path=request.path)
        return pb.RemoveResponse()

    async def watch_dir(self, request: pb.WatchDirRequest, ctx: Any) -> AsyncIterator[pb.WatchDirResponse]:
        machine = await self._find(ctx)
        path, deadline, silence = absolute(request.path, machine.record.workdir), budget(ctx), keep_alive(ctx)
        watch = await Watch.begin(machine.guest, path, recursive=request.recursive)
        machine.watches[ids.lower(12)] = watch
        loop = asyncio.get_running_loop()
        try:
            yield pb.WatchDirResponse(event=Oneof("start", pb.WatchDirResponse.StartEvent()))
            while True:
                patience = silence if deadline is None else min(silence, deadline - loop.time())
                try:
                    async with asyncio.timeout(max(patience, 0)):
                        name, kind = await watch.next()
                except TimeoutError:
                    if deadline is not None and loop.time() >= deadline:
                        raise ConnectError(Code.DEADLINE_EXCEEDED, "the watch took longer than its timeout") from None
                    yield pb.WatchDirResponse(event=Oneof("keepalive", pb.WatchDirResponse.KeepAlive()))
                    continue
                event = await _event(machine.guest, path, name, kind, entries=request.include_entry)
                yield pb.WatchDirResponse(event=Oneof("filesystem", event))
        finally:
            watch.cut()
            machine.forget(watch)

    async def create_watcher(self, request: pb.CreateWatcherRequest, ctx: Any) -> pb.CreateWatcherResponse:
        machine = await self._find(ctx)
        path = absolute(request.path, machine.record.workdir)
        watch = await Watch.begin(machine.guest, path, recursive=request.recursive)
        watch.asked = (path, request.include_entry)
        name = "w" + ids.lower(20)
        machine.watches[name] = watch
        return pb.CreateWatcherResponse(watcher_id=name)

    async def get_watcher_events(self, request: pb.GetWatcherEventsRequest, ctx: Any) -> pb.GetWatcherEventsResponse:
        machine = await self._find(ctx)
        watch, path, entries = _watcher(machine, request.watcher_id)
        return pb.GetWatcherEventsResponse(
            events=[await _event(machine.guest, path, name, kind, entries=entries) for name, kind in watch.drain()]
        )

    async def remove_watcher(self, request: pb.RemoveWatcherRequest, ctx: Any) -> pb.RemoveWatcherResponse:
        machine = await self._find(ctx)
        watch, _, _ = _watcher(machine, request.watcher_id)
        watch.cut()
        machine.forget(watch)
        return pb.RemoveWatcherResponse()


def _watcher(machine: Machine, name: str) -> tuple[Watch, str, bool]:
    watch = machine.watches.get(name)
    if watch is None or watch.asked is None:
        raise ConnectError(Code.NOT_FOUND, f"watcher with id {name} not found")
    return watch, *watch.asked


async def _event(guest: Guest, path: str, name: str, kind: Any, *, entries: bool) -> pb.FilesystemEvent:
    found: pb.EntryInfo | None = None
    if entries:
        try:
            found = entry((await guest.call("info", path=posixpath.normpath(posixpath.join(path, name))))[0])
        except FileTrouble:
            found = None  # it is gone: the event says so
    return pb.FilesystemEvent(name=name, type=kind, entry=found)
