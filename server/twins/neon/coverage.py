"""What of the API is not whole here, and why. A route that is not listed and not missing is whole."""

from __future__ import annotations

SHARED = "one cluster serves every branch: "
PARTIAL: dict[str, str] = {
    "POST /projects": (
        SHARED + "names of databases and roles end with what they belong to, pg_version is the one that runs, and a "
        "role has neither CREATEROLE nor CREATEDB; settings other than quota are kept and shown but change nothing"
    ),
    "PATCH /projects/{project_id}": "settings other than quota are kept and shown but change nothing",
    "GET /projects/{project_id}": (
        "written_data_bytes is always 0; data_transfer_bytes counts SQL over HTTP and WebSocket, not direct connections"
    ),
    "GET /projects/shared": "nobody can share a project here, so it is always empty",
    "GET /projects/{project_id}/connection_uri": "the pooled and the direct string are the same: there is one host",
    "POST /projects/{project_id}/branches": (
        SHARED + "a copy takes time and ends the direct connections of its source; from a moment of the past only as "
        "far as it was kept; `archived` is ignored"
    ),
    "POST /projects/{project_id}/branches/{branch_id}/restore": (
        "to another branch or a snapshot's moment; any other moment of the past is refused, as there is no log to go "
        "back through"
    ),
    "POST /projects/{project_id}/branches/{branch_id}/snapshot": "of now, or of a moment that was kept",
    "POST /projects/{project_id}/endpoints": (
        SHARED + "sizes, pg_settings and provisioner are kept and shown but change nothing; a read-only endpoint has "
        "logins of its own, which may read and not write"
    ),
    "PATCH /projects/{project_id}/endpoints/{endpoint_id}": "as at creation; branch_id, deprecated, is refused",
    "POST /projects/{project_id}/endpoints/{endpoint_id}/suspend": (
        "ends the connections; a new direct connection wakes it, and is seen to have done so a little later"
    ),
    "GET /consumption_history/v2/projects": (
        "instant_restore, snapshot_storage and private_network_transfer are always 0; the rest is since the twin began"
    ),
    "GET /organizations/{org_id}/members": "one member, without has_mfa and joined_at",
}

BESIDE: dict[str, str] = {
    "POST /sql": "SQL over HTTP, as `@neondatabase/serverless` asks",
    "WEBSOCKET /v2": "the relay of its `Pool` and `Client`",
    "POST /_twin/accounts": "opens an account of its own: an organization, and a key to it",
}
"""What is served and stands in no description."""
