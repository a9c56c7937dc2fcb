"""Flags as they go over the wire: evaluated for one person, defined for an SDK that evaluates them itself, and
shown to whoever manages them.

Sources: flags service `api/types.rs`, posthog 7.91 `types.py` (the typed records of `v=4`), `api/feature_flag.py`.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from server.twins.posthog.filters import all_wanted, conditions, wanted_of

if TYPE_CHECKING:
    from server.twins.posthog.evaluation import Answer

Doc = dict[str, Any]

TYPED_SINCE = 3
"""The `v` since which a record carries a typed `value` instead of `enabled` and `variant`."""


def record(flag: Doc, answer: Answer, version: int) -> Doc:
    """One flag's answer, as `/flags` gives it from `v=2` on."""
    variant = answer.value if isinstance(answer.value, str) else None
    metadata: Doc = {"id": flag["id"], "version": flag["version"], "payload": answer.payload, "has_experiment": False}
    if version >= TYPED_SINCE:
        reason: Doc = {"code": answer.reason, "condition_index": answer.condition_index}
        metadata = {**metadata, "config_version": 1, **({"variant_key": variant} if variant else {})}
        return {"key": flag["key"], "value": answer.value, "reason": reason, "metadata": metadata}
    reason = {"code": answer.reason, "condition_index": answer.condition_index, "description": answer.description}
    return {
        "key": flag["key"],
        "enabled": bool(answer.value),
        "variant": variant,
        "reason": reason,
        "metadata": {**metadata, "description": None},
    }


def values(answers: dict[str, Answer], version: int) -> Doc:
    """All answers as the versions before `v=2` gave them."""
    found: Doc = {"featureFlags": {key: answer.value for key, answer in answers.items()}}
    payloads = {key: answer.payload for key, answer in answers.items() if answer.payload is not None}
    return {**found, "featureFlagPayloads": payloads} if version >= 1 else found


def definitions(flags: list[Doc], group_types: dict[str, int]) -> Doc:
    """What local evaluation needs. A flag that depends on another names it by key, after all that one depends on."""
    by_id = {str(flag["id"]): flag for flag in flags}
    return {
        "flags": [_definition(flag, by_id) for flag in flags],
        "group_type_mapping": {str(index): kind for kind, index in group_types.items()},
        "cohorts": {},
    }


def _definition(flag: Doc, by_id: dict[str, Doc]) -> Doc:
    filters = deepcopy(flag["filters"])
    for wanted in all_wanted(filters):
        if wanted.get("type") == "flag" and (other := by_id.get(str(wanted.get("key")))):
            wanted.update(key=other["key"], dependency_chain=_chain(other, by_id, []))
    names = ("id", "name", "key", "deleted", "active", "ensure_experience_continuity", "version")
    more = ("evaluation_runtime", "evaluation_tags", "bucketing_identifier")
    return {**{name: flag[name] for name in (*names, *more)}, "team_id": 1, "filters": filters, "has_experiment": False}


def _chain(flag: Doc, by_id: dict[str, Doc], before: list[str]) -> list[str]:
    """The keys in the order they must be evaluated, `flag` last."""
    for wanted in all_wanted(flag["filters"]):
        other = by_id.get(str(wanted.get("key"))) if wanted.get("type") == "flag" else None
        if other and other["key"] not in before:
            before = _chain(other, by_id, before)
    return [*before, flag["key"]]


def managed(flag: Doc) -> Doc:
    """A flag as its owner sees it."""
    tried = conditions(flag["filters"])
    simple = len(tried) == 1 and not wanted_of(tried[0])
    simple = simple and flag["filters"].get("aggregation_group_type_index") is None
    return {
        **flag,
        "created_by": None,
        "last_modified_by": None,
        "is_simple_flag": simple,
        "rollout_percentage": tried[0].get("rollout_percentage") if simple else None,
        "status": "ACTIVE" if flag["active"] else "INACTIVE",
        "experiment_set": [],
        "surveys": [],
        "features": [],
        "rollback_conditions": None,
        "performed_rollback": None,
        "can_edit": True,
        "usage_dashboard": None,
        "analytics_dashboards": [],
        "has_enriched_analytics": False,
        "user_access_level": "manager",
        "last_called_at": None,
    }
