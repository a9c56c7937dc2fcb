"""One server process: its parts, put together; reads like a table of contents."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from server import __version__
from server.crash import nowhere
from server.errors import StackError
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp.server import MCPServer

    from server.books.books import Books
    from server.books.sessions import Sessions
    from server.books.store import Events, Vault
    from server.contacts import Contacts
    from server.crash import Crash
    from server.durable import Durable
    from server.local.home import Home
    from server.pool.pool import Pool
    from server.provision import Provisioner
    from server.reaper import Reaper
    from server.schedules import Schedules
    from server.settings import Settings
    from server.vm.machines import Machines
    from server.vm.sandbox import Sandboxes
    from server.workbench import Workbench

INSTRUCTIONS = (
    "Call provision_session first: it gives a session_key and makes the backend before you write a line. "
    "Then read skill://backend-services/SKILL.md and build the app in /app with write_files and run_in_vm, "
    "look at it with preview_app, and save it with git_push."
)


@dataclass(frozen=True)
class Core:
    """Everything one server process holds."""

    settings: Settings
    books: Books
    sessions: Sessions
    events: Events
    vault: Vault
    provisioner: Provisioner
    pool: Pool
    workbench: Workbench
    sandboxes: Sandboxes
    machines: Machines
    schedules: Schedules
    durable: Durable
    reaper: Reaper
    contacts: Contacts
    mcp: MCPServer[Any]


@asynccontextmanager
async def open_core(
    settings: Settings,
    home: Home,
    *,
    executor: str | None = None,
    at: Crash = nowhere,
    workflows: type[Durable] | None = None,
) -> AsyncGenerator[Core]:
    """The parts, ready for more workflows to be registered; then call `core.durable.launch()`."""
    import httpx

    from server import parts
    from server.books.books import Books
    from server.books.database import open_engine, open_journal
    from server.durable import Durable
    from server.git import GitPush
    from server.log import set_up
    from server.schedules import Schedules
    from server.vm.machines import Machines
    from server.vm.repository import Repositories
    from server.vm.sandbox import Sandboxes
    from server.workbench import Workbench
    from server.workers import Workers, new_executor

    hosted = settings.database_url.reveal() if settings.database_url else None
    engine = await asyncio.to_thread(open_engine, hosted or f"sqlite:///{home.database}")
    journal = open_journal(hosted or f"sqlite:///{home.root / 'workflows.sqlite'}")
    await asyncio.to_thread(_load)
    set_up(lambda: _operator_secrets(settings))
    vault_key = _vault_key(settings, home)
    books = Books.over(engine, vault_key)
    durable = (workflows or Durable)(journal, executor or (new_executor() if hosted else "local"))
    # All vendors share them: as many as any burst needs, or a vendor that hangs would hold up the others.
    connections = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(limits=connections) as http, durable.running():
        vendors = parts.vendors(settings, engine, http, at)
        sandboxes = Sandboxes(settings)
        legs = parts.legs(settings, books, vendors, sandboxes, at)
        repositories = Repositories(settings.github_git_url, settings.github_token)
        provisioner = parts.provisioner(settings, books, legs, sandboxes, durable, repositories=repositories, at=at)
        machines = Machines(provisioner, sandboxes)
        pool = await asyncio.to_thread(
            parts.pool, settings, books, provisioner, machines=machines, sandboxes=sandboxes, vault_key=vault_key, at=at
        )
        schedules = Schedules(books, sandboxes, machines, durable)
        bench = Workbench(
            books,
            provisioner=provisioner,
            pool=pool,
            sandboxes=sandboxes,
            machines=machines,
            push=GitPush(sandboxes, repositories),
            schedules=schedules,
        )
        durable.register("provision", provisioner.story)
        durable.register("job", schedules.story)
        for work in (provisioner.recover, provisioner.ending.keep_recovering, schedules.keep_time, pool.keep):
            durable.keep(work)
        reaper = parts.reaper(settings, books, legs, provisioner.ending)
        if settings.reap_every_minutes:
            durable.keep(lambda: reaper.keep_sweeping(timedelta(minutes=settings.reap_every_minutes)))
        if hosted:
            workers = Workers(engine, durable, alive_seconds=settings.worker_alive_seconds)
            await asyncio.to_thread(workers.beat)
            durable.keep(workers.keep)
            durable.keep(books.events.listen)
        yield Core(
            settings=settings,
            books=books,
            sessions=books.sessions,
            events=books.events,
            vault=books.vault,
            provisioner=provisioner,
            pool=pool,
            workbench=bench,
            sandboxes=sandboxes,
            machines=machines,
            schedules=schedules,
            durable=durable,
            reaper=reaper,
            contacts=parts.contacts(settings, books, vendors["mail"]),
            mcp=build_mcp(bench),
        )
    engine.dispose()
    journal.dispose()


def _load() -> None:
    """Import off the event loop what would hold it up for a second on the first call."""
    from importlib import import_module

    for heavy in ("dbos", "e2b", "mcp.server"):
        import_module(heavy)


def build_mcp(bench: Workbench) -> MCPServer[Any]:
    """The MCP server: its tools and the skill."""
    from server.environment import SKILL
    from server.tools import door

    server = door.ToolServer("mk0r", title="mk0r", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    door.register(server, bench)
    for file in sorted(SKILL.rglob("*.md")):
        uri = f"skill://backend-services/{file.relative_to(SKILL)}"
        name = str(file.relative_to(SKILL.parent))
        server.resource(uri, name=name, mime_type="text/markdown")(_reader(file))
    return server


def _reader(file: Any) -> Any:
    def read() -> str:
        """How an app in this VM uses its backend."""
        return file.read_text()

    return read


def _vault_key(settings: Settings, home: Home) -> Secret:
    """The key secrets are sealed with: from the environment, or a 0600 file made once."""
    if settings.secret_key:
        return settings.secret_key
    import os

    from cryptography.fernet import Fernet

    path = home.root / "vault.key"
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - exclusive
            file.write(Fernet.generate_key())
    except FileExistsError:
        pass
    key = path.read_text().strip()
    if not key:
        raise StackError(f"{path} is empty.", next_action="Restore it: without it no stored secret can be read.")
    return Secret(key)


def _operator_secrets(settings: Settings) -> list[Secret]:
    return [value for _, value in settings if isinstance(value, Secret)]
