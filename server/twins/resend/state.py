"""The team behind the API: everything it has, over one store and three folders of mail."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from server.twins.resend.broadcasts import Broadcasts
from server.twins.resend.chores import Chores
from server.twins.resend.contact_properties import ContactProperties
from server.twins.resend.contacts import Contacts
from server.twins.resend.domains import Domains
from server.twins.resend.emails import Emails
from server.twins.resend.fetch import Origins
from server.twins.resend.files import Files
from server.twins.resend.idempotency import Idempotency
from server.twins.resend.imports import Imports
from server.twins.resend.keys import Keys
from server.twins.resend.lifecycle import Lifecycle
from server.twins.resend.limits import Limits
from server.twins.resend.links import Links
from server.twins.resend.logs import Logs
from server.twins.resend.mailing import Mailing
from server.twins.resend.metrics import Metrics
from server.twins.resend.outbox import Outbox
from server.twins.resend.plan import Quota
from server.twins.resend.receiving import Receiving
from server.twins.resend.segments import Segments
from server.twins.resend.senders import Senders
from server.twins.resend.submission import Submission
from server.twins.resend.suppressions import Suppressions
from server.twins.resend.templates import Templates
from server.twins.resend.topics import Topics
from server.twins.resend.unsubscribe import Unsubscribe
from server.twins.resend.upgrade import upgrade
from server.twins.resend.webhook_delivery import WebhookDelivery
from server.twins.resend.webhooks import Webhooks

if TYPE_CHECKING:
    from pathlib import Path

    from server.twins.core import Site


class Team:
    def __init__(self, site: Site) -> None:
        self.records = records = site.records()
        self.chores = Chores()
        wake = self.chores.wake
        self.meter = Limits(site)
        self.logs = Logs(site, records)
        self.quota = Quota(site, records)
        self.origins = Origins(records)
        self.links = Links(site, records)
        self.webhooks = Webhooks(site, records, wake)
        self.keys = Keys(site, records)
        self.domains = Domains(site, records, self.webhooks)
        self.segments = Segments(site, records)
        self.properties = ContactProperties(site, records)
        self.topics = Topics(site, records, self.webhooks)
        self.contacts = Contacts(
            site,
            records,
            segments=self.segments,
            properties=self.properties,
            topics=self.topics,
            webhooks=self.webhooks,
        )
        self.imports = Imports(site, records, self.contacts, self.segments, self.topics)
        self.suppressions = Suppressions(site, records, self.webhooks)
        self.templates = Templates(site, records)
        self.receiving = Receiving(
            site, records, domains=self.domains, quota=self.quota, links=self.links, webhooks=self.webhooks
        )
        self.lifecycle = Lifecycle(site, records, self.webhooks, self.suppressions)
        self.outbox = Outbox(site, records, self.lifecycle, self.contacts, self.receiving)
        self.files = Files(records, self.links, self.outbox, self.receiving)
        senders = Senders(self.domains)
        self.idempotency = Idempotency(site, records)
        self.emails = Emails(
            site,
            records,
            submission=Submission(site, self.templates, self.topics),
            senders=senders,
            quota=self.quota,
            outbox=self.outbox,
            lifecycle=self.lifecycle,
            fetch=self.origins.fetch,
        )
        self.metrics = Metrics(site, records)
        self.broadcasts = Broadcasts(
            site, records, segments=self.segments, topics=self.topics, senders=senders, wake=wake
        )
        self.unsubscribe = Unsubscribe(site, records, self.links, self.contacts)
        self.mailing = Mailing(
            site,
            records,
            broadcasts=self.broadcasts,
            contacts=self.contacts,
            properties=self.properties,
            outbox=self.outbox,
            unsubscribe=self.unsubscribe,
        )
        delivery = WebhookDelivery(site, records)
        # Webhooks last: they tell of what the others have just done.
        self.chores.give(
            (self.domains.check, self.imports.run, self.outbox.run, self.mailing.run, delivery.run),
            (self.idempotency.forget, self.logs.forget),
        )
        self._folders = (self.outbox.waiting, self.outbox.mailbox, self.receiving.inbox)
        self._begin()

    def _begin(self) -> None:
        for folder in self._folders:
            folder.mkdir(exist_ok=True, mode=0o700)
        upgrade(self.records)
        self.keys.seed()
        self.domains.seed()
        self.links.seed()

    async def save(self, folder: Path) -> None:
        async with self.chores.resting():
            self.records.save(folder / "records.sqlite")
            for each in self._folders:
                shutil.copytree(each, folder / each.name)

    async def load(self, folder: Path) -> None:
        async with self.chores.resting():
            self.records.load(folder / "records.sqlite")
            for each in self._folders:
                shutil.rmtree(each)
                shutil.copytree(folder / each.name, each)
            self._begin()

    async def clear(self) -> None:
        async with self.chores.resting():
            self.records.clear()
            for each in self._folders:
                shutil.rmtree(each)
            self._begin()
