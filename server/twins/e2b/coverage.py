"""What is there but not whole: `METHOD /path` of E2B's specification (or of envd's) to what is missing."""

from __future__ import annotations

MEMORY = "files only, /tmp among them: processes and their memory are not kept, and the start command runs anew"

REFUSED = "refused with 403, as E2B refuses a team that may not use it"

PARTIAL: dict[str, str] = {
    "POST /sandboxes": "mcp, iam, volumeMounts, network.rules and network.egressProxy are refused or left out; "
    "dnsServers changes nothing, for names are resolved outside; where nothing is said of the internet only the "
    "package registry can be reached; HTTP and HTTPS leave through a proxy (HTTP_PROXY), other protocols do not; "
    "the only user is root; 'base' is the prepared image under the SDK's default name",
    "POST /sandboxes/{sandboxID}/pause": "the memory of a paused sandbox lasts until the twin itself is restarted; "
    "requireHealthyGuest changes nothing",
    "POST /sandboxes/{sandboxID}/snapshots": MEMORY,
    "POST /sandboxes/{sandboxID}/fork": MEMORY,
    "PUT /sandboxes/{sandboxID}/network": "rules and egressProxy are refused; connections that are open stay open",
    "GET /sandboxes/{sandboxID}/metrics": "the last hour. Without control groups of version 2, processes that have "
    "ended count only as far as a parent that still lives has taken their time over, and without any the page cache "
    "is /tmp's alone",
    "GET /sandboxes/{sandboxID}/logs": "the last 1,000 entries, in memory: gone with the sandbox and with the twin",
    "GET /v2/sandboxes/{sandboxID}/logs": "as above",
    "POST /v3/templates": "minFreeDiskMB changes nothing",
    "POST /v2/templates/{templateID}/builds/{buildID}": "only on the prepared image and on templates built from it "
    "(others are refused in the build's status); no step is cached; the only user is root; what lies outside /app, "
    "/root, /run and /tmp is read-only; the started process is not kept running, but started for each sandbox anew, "
    "which a create waits for; with weak isolation every build is refused",
    "GET /templates/{templateID}/builds/{buildID}/logs": "cursor and source change nothing",
    **{f"{method} /{what}": REFUSED for what in ("secrets", "volumes") for method in ("GET", "POST")},
    **{f"{method} /secrets/{{secretID}}": REFUSED for method in ("GET", "POST", "DELETE")},
    **{f"{method} /volumes/{{volumeID}}": REFUSED for method in ("GET", "DELETE")},
}

_INTERNAL = "answered 404, as E2B's proxy lets only its own orchestrator reach it"
BESIDE: dict[str, str] = {
    "POST /v2/sandboxes": "creation as today's SDKs ask, with `Idempotency-Key`",
    "POST /v2/sandboxes/{sandboxID}/connect": "connects to a sandbox, and resumes one that is paused",
    "GET /files": "envd: a file's content",
    "POST /files": "envd: writes files, as a form or as octets",
    "POST /files/compose": "envd: puts a file together from its parts",
    "GET /metrics": "envd: what the sandbox uses now",
    "GET /envs": "envd: the variables its processes are given",
    **{
        f"POST /{name}": _INTERNAL
        for name in ("init", "freeze", "unfreeze", "collapse", "fsfreeze", "fsthaw", "upgrade")
    },
    "POST /volumes/{volumeID}": REFUSED,
    "PUT /storage/templates/{id}/{hash}": "where the files of a template's build are uploaded, by a signed address",
    "GET /_twin/sandboxes": "every sandbox, with its state and the address of its preview on 127.0.0.1",
}
"""What is served and stands in no description. Sandboxes' ports are beside all of these: `5173-<id>.localhost`."""
