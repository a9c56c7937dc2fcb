"""Telling webhooks, signed as Svix signs (Resend docs, "Verify webhook requests"; "Retries and replays").

Only this machine's own addresses are told: a local twin has no business calling the internet. An event for any other
address is on record as failed, with the reason.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import b64decode, b64encode
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import httpx

from server.twins.core import ids
from server.twins.resend import times

if TYPE_CHECKING:
    from datetime import datetime

    from server.twins.core import Records, Site
    from server.twins.resend.fields import Body

PATIENCE = 15.0
RETRIES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000))
"""From one failed attempt to the next; after the last the event has failed."""
LONGEST_ANSWER = 1_000
"""Characters of an answer that are kept."""
UNREACHED, UNTOLD = 0, -1
"""In place of a status: nobody answered; nobody was asked."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class WebhookDelivery:
    def __init__(self, site: Site, records: Records) -> None:
        self._site = site
        self._records = records

    async def run(self) -> None:
        """One attempt at every event that is due, side by side, so that one slow listener delays nobody."""
        now = self._site.clock()
        due = [event for event in self._waiting() if times.read(event["next_attempt_at"]) <= now]
        if due:
            async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http, asyncio.TaskGroup() as group:
                for event in due:
                    group.create_task(self._attempt(http, event))

    def _waiting(self) -> list[Body]:
        """The events that are still to be told."""
        found: list[Body] = []
        for due in self._records.all("webhook_due"):
            event = self._records.get("webhook_event", due["id"])
            if event and event["next_attempt_at"]:
                found.append(event)
            else:
                self._records.delete("webhook_due", due["id"])
        return found

    async def _attempt(self, http: httpx.AsyncClient, event: Body) -> None:
        webhook = self._records.get("webhook", event["webhook_id"])
        if webhook is None:
            return
        status, answer = await _post(http, webhook, event, int(self._site.clock().timestamp()))
        now = self._site.clock()
        attempt = {
            "id": ids.token("atmpt_", 27),
            "http_status_code": status,
            "response": answer[:LONGEST_ANSWER],
            "sent_at": times.iso(now),
        }
        told = {**event, **_outcome(event, now, status), "attempts": [*event["attempts"], attempt]}
        self._records.put("webhook_event", event["id"], told)


def _outcome(event: Body, now: datetime, status: int) -> Body:
    if httpx.codes.is_success(status):
        return {"status": "success", "next_attempt_at": None}
    failures: int = event["failures"] + 1
    if status == UNTOLD or failures > len(RETRIES):
        return {"status": "failed", "next_attempt_at": None, "failures": failures}
    return {"status": "attempting", "next_attempt_at": times.iso(now + RETRIES[failures - 1]), "failures": failures}


async def _post(http: httpx.AsyncClient, webhook: Body, event: Body, timestamp: int) -> tuple[int, str]:
    """The listener's status and answer; `UNREACHED` or `UNTOLD` and why, where there was none."""
    url = httpx.URL(webhook["endpoint"])
    if url.host not in _LOOPBACK and not url.host.endswith(".localhost"):
        return UNTOLD, "This Resend twin tells only listeners on its own machine."
    body = json.dumps(event["payload"], separators=(",", ":"), ensure_ascii=False).encode()
    headers = {
        # Not every resolver knows the names below `localhost`, so the address is ours to say.
        "host": url.netloc.decode(),
        "content-type": "application/json",
        "user-agent": "Svix-Webhooks/1.0 (resend-twin)",
        "svix-id": event["id"],
        "svix-timestamp": str(timestamp),
        "svix-signature": signature(webhook["signing_secret"], event["id"], timestamp, body),
    }
    try:
        answer = await http.post(url.copy_with(host="127.0.0.1"), content=body, headers=headers)
    except httpx.HTTPError as error:
        return UNREACHED, f"no answer: {type(error).__name__}"
    return answer.status_code, answer.text


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of an HMAC over id, timestamp and body (Svix docs, "Verifying payloads manually")."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    key = b64decode(secret.removeprefix("whsec_"))
    return "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()
