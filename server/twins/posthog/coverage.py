"""Which endpoints PostHog's SDKs call, and what of those the twin has is not whole.

PostHog publishes no description of them: the list is read out of posthog-js 1.449.2, posthog-node 5.70.0 and
posthog (Python) 7.91.1, and of PostHog's API docs for what a person calls with a personal key.
"""

from __future__ import annotations

_JS, _NODE, _PYTHON, _PERSON = "posthog-js", "posthog-node", "posthog (Python)", "a person with a personal key"
_SERVERS = f"{_NODE}, {_PYTHON}"
_PROJECT = "/api/projects/{project_id}"

CALLED_BY: dict[str, str] = {
    "POST /e/": _JS,
    "POST /i/v0/e/": _JS,
    "GET /e/": f"{_JS} of long ago",
    "POST /s/": _JS,
    "POST /batch/": _SERVERS,
    "POST /capture/": "SDKs of long ago",
    "POST /track/": "SDKs of long ago",
    "POST /engage/": "SDKs of long ago",
    "POST /i/v0/ai/batch/": _SERVERS,
    "POST /i/v1/analytics/events": _SERVERS,
    "POST /i/v1/logs": f"{_JS}, {_SERVERS}",
    "POST /i/v1/metrics": f"{_JS}, {_SERVERS}",
    "POST /i/v1/traces": _SERVERS,
    "POST /flags/": f"{_JS}, {_SERVERS}",
    "GET /flags/definitions": _SERVERS,
    "POST /decide/": "SDKs of long ago",
    "GET /api/feature_flag/local_evaluation": "SDKs of long ago",
    "GET /array/{token}/config": f"{_JS}, {_NODE}",
    "GET /array/{token}/config.js": _JS,
    "GET /array/{token}/array.js": f"{_JS}'s script tag",
    "GET /static/{path}": _JS,
    "GET /api/surveys/": f"{_JS}, {_NODE}",
    "GET /api/web_experiments/": _JS,
    "GET /api/product_tours/": _JS,
    "GET /api/early_access_features/": _JS,
    "POST /api/conversations/v1/widget/message": _JS,
    f"GET {_PROJECT}/feature_flags/{{id}}/remote_config": _SERVERS,
    f"POST {_PROJECT}/messaging/send/email/": _SERVERS,
    f"GET {_PROJECT}/messaging/emails/{{message_id}}/": _SERVERS,
    f"GET {_PROJECT}/messaging/preferences/": _SERVERS,
    f"GET {_PROJECT}/": _PERSON,
    f"PATCH {_PROJECT}/": _PERSON,
    f"GET {_PROJECT}/feature_flags/": _PERSON,
    f"POST {_PROJECT}/feature_flags/": _PERSON,
    f"GET {_PROJECT}/feature_flags/{{id}}/": _PERSON,
    f"PATCH {_PROJECT}/feature_flags/{{id}}/": _PERSON,
    f"DELETE {_PROJECT}/feature_flags/{{id}}/": _PERSON,
    f"GET {_PROJECT}/feature_flags/local_evaluation": _PERSON,
    f"GET {_PROJECT}/events/": _PERSON,
    f"GET {_PROJECT}/events/{{id}}/": _PERSON,
    f"POST {_PROJECT}/query/": _PERSON,
    f"GET {_PROJECT}/query/{{id}}/": _PERSON,
    f"GET {_PROJECT}/persons/": _PERSON,
    f"GET {_PROJECT}/persons/{{id}}/": _PERSON,
    f"DELETE {_PROJECT}/persons/{{id}}/": _PERSON,
    f"POST {_PROJECT}/persons/{{id}}/update_property/": _PERSON,
    f"POST {_PROJECT}/persons/{{id}}/delete_property/": _PERSON,
    f"GET {_PROJECT}/groups_types/": _PERSON,
    f"GET {_PROJECT}/groups/": _PERSON,
    f"POST {_PROJECT}/groups/": _PERSON,
    f"GET {_PROJECT}/groups/find": _PERSON,
    f"GET {_PROJECT}/cohorts/": _PERSON,
    f"GET {_PROJECT}/insights/": _PERSON,
    f"GET {_PROJECT}/session_recordings/": _PERSON,
}
ENDPOINTS: list[str] = [*CALLED_BY]

_HOGQL = (
    "HogQLQuery and EventsQuery only; of HogQL what docs ask of events, persons, groups and sessions: no window "
    "functions, LIMIT BY, ARRAY JOIN or cohorts, and some ninety functions; person properties are today's, not the "
    "event's; results are never cached, and `async` answers at once"
)
_EMPTY = "always empty: this project can define none"
_LOST = "accepted and not kept"

PARTIAL: dict[str, str] = {
    "POST /s/": "snapshots are counted by session and dropped: there is nothing to play back",
    "POST /i/v1/analytics/events": "no brotli or zstd bodies (415)",
    "POST /i/v1/logs": _LOST,
    "POST /i/v1/metrics": _LOST,
    "POST /i/v1/traces": _LOST,
    "POST /flags/": "conditions on persons, groups and other flags; no cohorts, experiments or country of the caller",
    "POST /decide/": "as /flags",
    "GET /flags/definitions": "`cohorts` is always empty",
    "GET /api/feature_flag/local_evaluation": "`cohorts` is always empty",
    "GET /static/{path}": "what an installed posthog-js brings (recorder, surveys, exception autocapture, web vitals, "
    "array.js); the toolbar is not in it: 404",
    "GET /api/surveys/": _EMPTY,
    "GET /api/web_experiments/": _EMPTY,
    "GET /api/product_tours/": _EMPTY,
    "GET /api/early_access_features/": _EMPTY,
    f"GET {_PROJECT}/": "the one project, and of its settings those its remote configuration is made of",
    f"PATCH {_PROJECT}/": "the switches of remote configuration",
    f"POST {_PROJECT}/feature_flags/": "no cohorts, no encrypted payloads",
    f"PATCH {_PROJECT}/feature_flags/{{id}}/": "no cohorts, no encrypted payloads",
    f"POST {_PROJECT}/query/": _HOGQL,
    f"GET {_PROJECT}/events/": "no actions, and property filters of events, persons and groups only",
    f"GET {_PROJECT}/persons/": "search, email and distinct id; no property filters or cohorts",
    f"DELETE {_PROJECT}/persons/{{id}}/": "done at once, where PostHog takes hours",
}

OTHER_NAMES = {"/api/environments/{project_id}": _PROJECT}
"""Paths under which the same routes are served: from another, to the one they are told under."""

BESIDE: dict[str, str] = {
    **{
        f"GET {path}": "as POST, for what is sent in the query"
        for path in (
            *("/i/v0/e/", "/s/", "/batch/", "/capture/", "/track/", "/engage/", "/i/v0/ai/batch/"),
            *("/flags/", "/decide/"),
        )
    },
    f"PUT {_PROJECT}/feature_flags/{{id}}/": "as PATCH",
    "GET /_twin/events": "the newest thousand events: `?group=` a group's key, `?event=` a name",
    "GET /_twin/recordings": "what was recorded of sessions, counted",
    "POST /_twin/keys": "a personal API key with `scopes`, or the project's secret key",
    "DELETE /_twin/keys/{ending}": "withdraws the key that ends so",
    "PUT /_twin/quota": "which resources have reached their billing limit",
}
"""What is served and stands in no description."""
