"""What can be done inside a session's VM: run, write, read, look, push. Its answers hold no secret."""

from __future__ import annotations

import json
import posixpath
import shlex
from base64 import b64encode
from time import monotonic
from typing import TYPE_CHECKING, Any

from server.books.sessions import SESSION_LEG
from server.errors import LegError, UserError
from server.secrets import scrub
from server.settings import LEGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.books.books import Books
    from server.books.sessions import Session
    from server.books.store import Vault
    from server.git import GitPush, Pushed
    from server.pool.pool import Pool
    from server.provision import Provisioner
    from server.schedules import Schedules
    from server.secrets import Secret
    from server.vm.machines import Machines
    from server.vm.sandbox import CommandResult, Sandboxes

APP = "/app"
MOST_OUTPUT = 30_000  # characters of each stream
MOST_FILE = 100_000  # characters
MOST_READ = 10 * MOST_FILE  # bytes: so many make as many characters even where secrets are masked
LONGEST_SECRET = 4_000
SCREENSHOT = "mk0r-preview.png"
# The defaults are the image's own places; a sandbox without a root of its own names others.
PREVIEW = (
    'node "${MK0R_OPT:-/opt/mk0r}/browser/preview.mjs" --width 390 --height 844 '
    f'--out "${{TMPDIR:-/tmp}}/{SCREENSHOT}" --url "http://localhost:${{PORT:-5173}}"'
)
PREVIEW_SECONDS = 60


class Workbench:
    """The hands of a caller in one session at a time."""

    def __init__(
        self,
        books: Books,
        *,
        provisioner: Provisioner,
        pool: Pool,
        sandboxes: Sandboxes,
        machines: Machines,
        push: GitPush,
        schedules: Schedules,
    ) -> None:
        self.sessions = books.sessions
        self.events = books.events
        self.provisioner = provisioner
        self.pool = pool
        self._vault = books.vault
        self._sandboxes = sandboxes
        self._machines = machines
        self._push = push
        self._schedules = schedules

    def values(self, session: Session) -> dict[str, tuple[str, Secret]]:
        """Each name in `/app/.env` with the service it comes from and its value."""
        secrets = self._vault.get(session.slug)
        return {
            name: (leg.name, secrets[name])
            for leg in session.legs
            if leg.stands
            for name in leg.env_names
            if name in secrets
        }

    async def run(self, session: Session, command: str, *, cwd: str, seconds: float) -> dict[str, Any]:
        began = monotonic()

        async def run(vm: str) -> CommandResult:
            return await self._sandboxes.run(vm, command, cwd=cwd, seconds=seconds)

        done, notice = await self._machines.use(session, run)
        out, err = self._clean(session, done.stdout), self._clean(session, done.stderr)
        return {
            "exit_code": done.exit_code,
            "stdout": _middle_out(out, MOST_OUTPUT),
            "stderr": _middle_out(err, MOST_OUTPUT),
            "truncated": max(len(out), len(err)) > MOST_OUTPUT,
            "ms": round((monotonic() - began) * 1000),
            "notice": notice,
        }

    async def write(self, session: Session, files: Mapping[str, str]) -> dict[str, Any]:
        placed = {_in_app(path): content for path, content in files.items()}
        _, notice = await self._machines.use(session, lambda vm: self._sandboxes.write(vm, placed))
        return {"written": list(placed), "notice": notice}

    async def read(self, session: Session, path: str) -> dict[str, Any]:
        where = _in_app(path)
        try:
            data, notice = await self._machines.use(session, lambda vm: self._sandboxes.read(vm, where, most=MOST_READ))
        except FileNotFoundError:
            raise UserError(
                f"There is no file {where}.", next_action="List the folder with run_in_vm `ls`.", code="no_file"
            ) from None
        text = self._clean(session, data.decode(errors="replace"))
        cut = len(data) >= MOST_READ
        if cut:
            text = text[:-LONGEST_SECRET]  # half of one is not recognised
        truncated = cut or len(text) > MOST_FILE
        return {"path": where, "content": text[:MOST_FILE], "truncated": truncated, "notice": notice}

    async def preview(self, session: Session, path: str) -> tuple[dict[str, Any], str]:
        """What a phone shows at `path`, and its screenshot as base64 PNG."""
        if not path.startswith("/"):
            raise UserError("The path must begin with /.", next_action="Pass a path such as /.", code="bad_path")

        async def look(vm: str) -> tuple[CommandResult, bytes]:
            seen = await self._sandboxes.run(vm, PREVIEW + shlex.quote(path), seconds=PREVIEW_SECONDS)
            return seen, await self._sandboxes.read(vm, f"/tmp/{SCREENSHOT}")

        try:
            (seen, picture), notice = await self._machines.use(session, look)
            page = json.loads(seen.stdout.strip().splitlines()[-1])
            status = int(page["status"])
        except (IndexError, KeyError, ValueError, TypeError, FileNotFoundError):
            raise UserError(
                "The app's page could not be opened.",
                next_action="See what the server says with run_in_vm `curl -si http://localhost:5173/ | head -50`.",
                code="no_page",
            ) from None
        here = self.sessions.by_slug(session.slug)  # a VM that was replaced has another address
        return {
            "url": f"{here.preview_url}{path}",
            "status": status,
            "title": self._clean(session, str(page.get("title", ""))),
            "text": self._clean(session, str(page.get("text", "")))[:2000],
            "console_errors": [self._clean(session, str(line))[:500] for line in page.get("console_errors", [])][:20],
            "ms": int(page.get("ms", 0)),
            "notice": notice,
        }, b64encode(picture).decode()

    async def push(self, session: Session, message: str) -> Pushed:
        secrets = issued_secrets(self._vault, session.slug)
        pushed, notice = await self._machines.use(session, lambda vm: self._push(session, vm, message, secrets))
        if notice:
            raise LegError(notice, code="vm_replaced", next_action="Nothing was there to push: write it again first.")
        await self._schedules.read(session)  # every turn ends in a push, so this is when jobs change
        return pushed

    def _clean(self, session: Session, text: str) -> str:
        return scrub(text, issued_secrets(self._vault, session.slug))


def issued_secrets(vault: Vault, slug: str) -> list[Secret]:
    """Every value that must not leave by another door than `.env`: the legs' and the session key."""
    public = {"NEON_HOST", "NEON_ROLE_NAME", "NEON_PROJECT_ID", "RESEND_AUDIENCE_ID", "RESEND_FROM"}
    public |= {"VITE_POSTHOG_KEY", "VITE_POSTHOG_HOST", "VITE_POSTHOG_APP_ID", "GITHUB_REPO", "GITHUB_REPO_URL"}
    secrets = vault.get(slug, legs=[SESSION_LEG, *LEGS])
    return [secret for name, secret in secrets.items() if name not in public]


def _in_app(path: str) -> str:
    """The absolute path, refused outside `/app` and for the file that holds the secrets."""
    where = posixpath.normpath(posixpath.join(APP, path))
    if not where.startswith(f"{APP}/") or "\0" in path:
        raise UserError("Only files under /app can be reached.", next_action="Use run_in_vm for the rest of the VM.")
    if where == f"{APP}/.env":
        raise UserError(
            "/app/.env is written by the server alone.", next_action="Use get_env for its names.", code="env_file"
        )
    return where


def _middle_out(text: str, most: int) -> str:
    """The beginning and the end: errors stand at one of them."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - most} characters left out …\n{text[-half:]}"
