"""What of Resend's API is here in part. What has no route is answered as Resend answers an unknown path."""

from __future__ import annotations

PARTIAL: dict[str, str] = {
    "POST /emails": "attachments by `path` come only from origins the operator listed (`PUT /_twin/origins`), and "
    "Resend's list of refused file types is not applied; nothing is opened, clicked or delayed unless "
    "`POST /_twin/emails/{id}/events` says so; the natural language of `scheduled_at` is the phrases the docs show.",
    "POST /emails/batch": "as `POST /emails`; attachments are passed over.",
    "GET /emails/metrics": "a period is named by its first day or hour, and one in which nothing happened is left out; "
    "`unsubscribed` stays 0; a parameter that is repeated is taken once.",
    "POST /domains": "the DKIM key is a placeholder: nothing is signed.",
    "POST /domains/{domain_id}/verify": "no DNS is asked: names below `.localhost` and `.test` are verified at the "
    "next look, any other fails after 72 hours or is what `PUT /_twin/domains/{name}` says.",
    "PATCH /domains/{domain_id}": "tracking and TLS are kept and told, not applied.",
    "POST /segments": "a `filter` is accepted and not applied: a segment holds whom it was given.",
    "GET /segments/{id}": "without `audience_id` and `filter`.",
    "POST /webhooks": "events are sent to this machine's own addresses (`localhost`, `*.localhost`) only; for any "
    "other they are on record as failed. Inbox events may be asked for and never happen.",
    "GET /emails/receiving": "mail comes from the team's own senders and from `POST /_twin/inbound`: there is no SMTP.",
    "POST /contacts/imports": "at most 40MB.",
    "GET /logs": "the last thousand calls with a good key.",
    "GET /logs/{log_id}": "bodies are told without tokens, signing secrets and file contents; a batch's is not kept.",
}

_CONTACTS = "once an audience's, as its SDKs still call it"
_CONTACT_ROUTES = [
    *("GET /{group}/{id}/contacts", "POST /{group}/{id}/contacts", "GET /{group}/{id}/contacts/{contact_id}"),
    *("PATCH /{group}/{id}/contacts/{contact_id}", "DELETE /{group}/{id}/contacts/{contact_id}"),
]
BESIDE: dict[str, str] = {
    "GET /usage": "the plan's quotas and what is used of them",
    **{route.replace("{group}", group): _CONTACTS for group in ("segments", "audiences") for route in _CONTACT_ROUTES},
    "PATCH /segments/{id}": "its name",
    "PATCH /audiences/{id}": "its name",
    "POST /broadcasts/{id}/duplicate": "a draft with the same content",
    "GET /webhooks/{id}/events": "what was sent to it",
    "GET /webhooks/{id}/events/{event_id}": "one of them",
    "GET /webhooks/{id}/events/{event_id}/attempts": "each attempt to deliver it",
    "POST /webhooks/{id}/events/{event_id}/replay": "delivers it again",
    "POST /webhooks/{id}/signing-secret/rotate": "a new signing secret",
    "GET /downloads/{kind}/{id}/{attachment}": "an attachment's `download_url`, signed",
    "GET /shared/{kind}/{id}": "a mail as it looks, by a signed address",
    "GET /unsubscribe/{broadcast}/{contact}": "the page behind `{{{RESEND_UNSUBSCRIBE_URL}}}`",
    "POST /unsubscribe/{broadcast}/{contact}": "the same in one click (RFC 8058)",
    "GET /_twin/mailbox": "every mail asked for: `?key=` by whose key, `?to=` for whom",
    "POST /_twin/inbound": "a mail from outside, `message/rfc822`, for the domain of `?to=`",
    "POST /_twin/emails/{id}/events": "what a recipient or a mail server did, such as `opened` or `bounced`",
    "PUT /_twin/domains/{name}": "what the check of a domain's DNS will find",
    "PUT /_twin/plan": "the plan, whose quotas are enforced",
    "GET /_twin/origins": "where attachments given by `path` may come from",
    "PUT /_twin/origins": "changes that",
    "POST /_twin/chores": "does at once what is due by the clock",
}
"""What is served and stands in no description."""
