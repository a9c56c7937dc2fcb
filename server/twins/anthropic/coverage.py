"""What of the API is here. The vendor publishes no API description: the list is what its SDKs' own resources call."""

from __future__ import annotations

import re

ENDPOINTS = (
    "POST /v1/messages",
    "POST /v1/messages/count_tokens",
    "GET /v1/messages/batches",
    "POST /v1/messages/batches",
    "GET /v1/messages/batches/{message_batch_id}",
    "DELETE /v1/messages/batches/{message_batch_id}",
    "POST /v1/messages/batches/{message_batch_id}/cancel",
    "GET /v1/messages/batches/{message_batch_id}/results",
    "GET /v1/models",
    "GET /v1/models/{model_id}",
    "GET /v1/files",
    "POST /v1/files",
    "GET /v1/files/{file_id}",
    "DELETE /v1/files/{file_id}",
    "GET /v1/files/{file_id}/content",
    "GET /v1/skills",
    "POST /v1/skills",
    "GET /v1/skills/{skill_id}",
    "DELETE /v1/skills/{skill_id}",
    "GET /v1/skills/{skill_id}/versions",
    "POST /v1/skills/{skill_id}/versions",
    "GET /v1/skills/{skill_id}/versions/{version}",
    "DELETE /v1/skills/{skill_id}/versions/{version}",
    "GET /v1/user_profiles",
    "POST /v1/user_profiles",
    "GET /v1/user_profiles/{user_profile_id}",
    "POST /v1/user_profiles/{user_profile_id}",
    "DELETE /v1/user_profiles/{user_profile_id}",
    "POST /v1/user_profiles/{user_profile_id}/action_urls",
)
"""Of the client's resources outside `beta` and `organization`, which are products of their own."""

PARTIAL = {
    "POST /v1/messages": (
        "The model is a script: it speaks for the ideas it has one for, declines others (stop_reason refusal), and "
        "fills a forced tool call or a JSON format from its schema alone, without `pattern`. "
        "Not taken: tools the vendor runs or defines (web search, code execution, bash, …) and their blocks, "
        "PDF documents, files of the Files API, fast mode, containers, threads, MCP servers, context management. "
        "A URL image is checked by its form and never fetched. No citations are made. "
        "Thinking is what the script gives, whatever the effort. Tokens are estimated. "
        "Rate limits are counted in whole minutes, not as a bucket that fills."
    ),
    "POST /v1/messages/count_tokens": "Tokens are estimated; they agree with what `usage` says of the same request.",
    "GET /v1/models": "One model: the rehearsal.",
}


def absent(method: str, path: str) -> str:
    """What to say where no route answers an endpoint the SDKs know; empty for a path nobody knows."""
    for endpoint in ENDPOINTS:
        verb, template = endpoint.split()
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if verb == method and re.fullmatch(pattern, path):
            return f"Not Found: this is the rehearsal, which has no {template}"
    return ""


BESIDE: dict[str, str] = {
    "POST /_twin/stream_errors": "breaks coming streams off with an error event",
    "DELETE /_twin/stream_errors": "takes that back",
}
"""What is served and is no endpoint of the vendor's."""
