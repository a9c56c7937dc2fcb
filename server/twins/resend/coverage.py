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
