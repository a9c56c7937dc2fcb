"""One server process: its parts, put together; reads like a table of contents."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from server import __version__
from server.errors import StackError
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx
    from mcp.server import MCPServer

    from server.contacts import Contacts
    from server.durable import Durable
    from server.legs import Leg
    from server.legs.vendor import Vendor
    from server.local.home import Home
    from server.provision import Provisioner
    from server.sessions import Sessions
    from server.settings import LegName, Settings
    from server.store import Events, Vault
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
    sessions: Sessions
    events: Events
    vault: Vault
    provisioner: Provisioner
    workbench: Workbench
    sandboxes: Sandboxes
    durable: Durable
    contacts: Contacts
    mcp: MCPServer[Any]


@asynccontextmanager
async def open_core(settings: Settings, home: Home, *, executor: str = "local") -> AsyncGenerator[Core]:
    """The parts, ready for more workflows to be registered; then call `core.durable.launch()`."""
    import httpx

    from server import store
    from server.contacts import Contacts
    from server.durable import Durable
    from server.git import GitPush
    from server.log import set_up
    from server.provision import Provisioner
    from server.sessions import Sessions
    from server.vm.sandbox import Sandboxes
    from server.workbench import Workbench

    hosted = settings.database_url.reveal() if settings.database_url else None
    engine = store.open_engine(hosted or f"sqlite:///{home.database}")
    store.METADATA.create_all(engine)
    journal = engine if hosted else store.open_engine(f"sqlite:///{home.root / 'workflows.sqlite'}")
    await asyncio.to_thread(_load)
    vault = store.Vault(engine, _vault_key(settings, home))
    set_up(lambda: _operator_secrets(settings))
    async with httpx.AsyncClient() as http:
        vendors = _vendors(settings, http)
        sandboxes = Sandboxes(settings)
        sessions, events = Sessions(engine, vault), store.Events(engine)
        durable = Durable(journal, executor)
        provisioner = Provisioner(
            sessions,
            vault,
            events,
            _legs(settings, vendors, sandboxes),
            sandboxes,
            budget_seconds=settings.leg_budget_seconds,
            clock=time.monotonic,
            step=durable.step,
            start_workflow=lambda *args: durable.start("provision", *args),
        )
        bench = Workbench(
            sessions=sessions,
            vault=vault,
            events=events,
            provisioner=provisioner,
            sandboxes=sandboxes,
            push=GitPush(sandboxes, settings.github_git_url, settings.github_token),
        )
        async with durable.running():
            durable.register("provision", provisioner.story)
            yield Core(
                settings=settings,
                sessions=sessions,
                events=events,
                vault=vault,
                provisioner=provisioner,
                workbench=bench,
                sandboxes=sandboxes,
                durable=durable,
                contacts=Contacts(sessions, vault, vendors["mail"]),
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
    """The MCP server: eight tools and the skill."""
    from server import tools
    from server.provision import SKILL

    server = tools.ToolServer("mk0r", title="mk0r", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    tools.register(server, bench)
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


def _vendors(settings: Settings, http: httpx.AsyncClient) -> dict[LegName, Vendor]:
    from server.legs.vendor import Vendor

    random = Random()  # noqa: S311 - spreads retries, guards nothing
    agent = {"User-Agent": f"mk0r/{__version__}"}
    github = {**agent, "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

    def vendor(name: str, url: str, credential: Secret | None, headers: dict[str, str]) -> Vendor:
        return Vendor(name, http, url, credential or Secret(""), random=random, headers=headers)

    return {
        "database": vendor("Neon", settings.neon_base_url, settings.neon_api_key, agent),
        "mail": vendor("Resend", settings.resend_base_url, settings.resend_api_key, agent),
        "git": vendor("GitHub", settings.github_api_url, settings.github_token, github),
    }


def _legs(settings: Settings, vendors: dict[LegName, Vendor], sandboxes: Sandboxes) -> dict[LegName, Leg]:
    from server.legs.github import GitHubLeg
    from server.legs.neon import NeonLeg
    from server.legs.posthog import PostHogLeg
    from server.legs.resend import ResendLeg

    return {
        "database": NeonLeg(vendors["database"], settings),
        "mail": ResendLeg(vendors["mail"], settings),
        "analytics": PostHogLeg(settings),
        "git": GitHubLeg(vendors["git"], settings),
        "vm": sandboxes,
    }


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
