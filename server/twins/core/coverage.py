"""What every twin serves beside its vendor's routes: its own doors, behind its admin token."""

from __future__ import annotations

BESIDE: dict[str, str] = {
    "GET /_twin/health": "that the twin answers; without a token",
    "GET /_twin/credentials": "what opens it beside the operator's key, by the name of an environment variable",
    "GET /_twin": "leads to the page",
    "GET /_twin/": "the page for a person; without a token, which it asks for",
    "GET /_twin/view": "what the page draws: `?at=` a place in it",
    "GET /_twin/faults": "what is ordered to go wrong",
    "POST /_twin/faults": "orders a fault: its method and path as patterns, how often, and what happens",
    "DELETE /_twin/faults": "takes back one (`?id=`) or all",
    "GET /_twin/faults/met": "which requests met one",
    "GET /_twin/held": "how many requests wait under each name a fault holds them by",
    "POST /_twin/release": "lets those of a name go on",
    "GET /_twin/limits": "the limits, and whether they are enforced",
    "PUT /_twin/limits": "changes either",
    "GET /_twin/snapshots": "the names of the states put aside",
    "POST /_twin/snapshots": "puts the whole state aside under a name",
    "POST /_twin/snapshots/{name}/restore": "brings it back",
    "DELETE /_twin/snapshots/{name}": "forgets it",
    "POST /_twin/reset": "empties the twin",
}
