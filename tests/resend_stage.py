"""A Resend twin of its own for one test: a clock that only the test moves, and no rate limit unless asked for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from server.secrets import Secret
from server.twins.core import Site
from server.twins.core.serve import bind, serving
from server.twins.resend import build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from email.message import EmailMessage

OPERATOR = "re_operator_key"
ADMIN = {"Authorization": "Bearer admin-token"}
SENDER = "My app <app@mk0r.localhost>"
ANN = "ann@mail.test"
MAIL = {"from": SENDER, "to": [ANN], "subject": "Hello", "html": "<b>Hi</b>", "text": "Hi"}


MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Clock:
    """A Monday morning, until it is moved."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Stage:
    """The running twin. `api` is the operator."""

    api: httpx.AsyncClient
    site: Site
    clock: Clock

    @property
    def base_url(self) -> str:
        return self.site.base_url

    async def anew(self) -> Stage:
        """As on its first day, for the next test."""
        self.clock.now = MONDAY
        await self.twin("DELETE", "faults")
        await self.twin("PUT", "limits", json={"enforced": False})
        await self.twin("POST", "reset")
        return self

    async def twin(self, method: str, path: str, **request: Any) -> Any:
        """One of the twin's own doors."""
        answer = await self.api.request(method, f"/_twin/{path}", headers=ADMIN, **request)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def do(self, method: str, path: str, body: Any = None, **request: Any) -> Any:
        """A call that must succeed; gives its body."""
        answer = await self.api.request(method, path, json=body, **request)
        assert answer.is_success, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, body: Any = None, **request: Any) -> tuple[int, str]:
        return refusal(await self.api.request(method, path, json=body, **request))

    async def chores(self) -> None:
        await self.twin("POST", "chores")

    async def send(self, **fields: Any) -> str:
        """The id of a mail."""
        return (await self.do("POST", "/emails", {**MAIL, **fields}))["id"]

    async def state(self, email_id: str) -> str:
        return (await self.do("GET", f"/emails/{email_id}"))["last_event"]

    async def mailbox(self, query: str = "") -> list[dict[str, Any]]:
        return (await self.twin("GET", f"mailbox{query}"))["mails"]

    async def mail(self, email_id: str) -> EmailMessage:
        """A mail that left, as a mail program reads it."""
        (file,) = [mail["file"] for mail in await self.mailbox() if mail["id"] == email_id]
        return read_mail(file)

    async def key(self, **fields: str) -> dict[str, str]:
        """The header of a key that may only send."""
        made = await self.do("POST", "/api-keys", {"name": "app", "permission": "sending_access", **fields})
        return {"Authorization": f"Bearer {made['token']}"}


def read_mail(file: str) -> EmailMessage:
    return message_from_bytes(Path(file).read_bytes(), policy=default)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """An error in the one shape that Resend gives all of them."""
    body = answer.json()
    assert set(body) == {"statusCode", "name", "message"}, body
    assert body["statusCode"] == answer.status_code
    return answer.status_code, body["name"]


@asynccontextmanager
async def stage(folder: Path, clock: Clock | None = None) -> AsyncGenerator[Stage]:
    """The same folder again is the same twin, started anew."""
    sockets, clock = bind(), clock or Clock()
    base_url = f"http://localhost:{sockets[0].getsockname()[1]}"
    site = Site("resend", base_url, folder, Secret(OPERATOR), Secret("admin-token"), clock=clock)
    site.limits.enforced = False
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    async with (
        serving(build(site), sockets, drain=1),
        httpx.AsyncClient(base_url=base_url, headers=headers, timeout=10) as api,
    ):
        yield Stage(api, site, clock)
