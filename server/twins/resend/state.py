"""The team behind the API: its keys, domains, people and mail, over one store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.resend.domains import Domains
from server.twins.resend.keys import Keys
from server.twins.resend.mail import Mail
from server.twins.resend.people import Contacts, Segments

if TYPE_CHECKING:
    from server.twins.core import Site


class Team:
    def __init__(self, site: Site) -> None:
        records = site.records()
        self.keys = Keys(site, records)
        self.domains = Domains(site, records)
        self.segments = Segments(site, records)
        self.contacts = Contacts(site, records, self.segments)
        self.mail = Mail(site, records, self.domains)
