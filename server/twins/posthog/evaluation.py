"""What a flag says to one person: the conditions in order, a hash for each rollout and each variant.

The hash and the order are what the SDKs' local evaluation uses (posthog 7.91 `feature_flags.py`), the reasons what
the flags service answers (`flag_match_reason.rs`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from server.twins.posthog.filters import conditions, payloads, variants, wanted_of
from server.twins.posthog.matching import fits

if TYPE_CHECKING:
    from datetime import datetime

Doc = dict[str, Any]

_LONG_SCALE = float(0xFFFFFFFFFFFFFFF)
_SCORE = {"no_condition_match": 0, "out_of_rollout_bound": 1, "no_group_type": 2}
_DESCRIPTIONS = {
    "no_condition_match": "No matching condition set",
    "out_of_rollout_bound": "Out of rollout bound",
    "no_group_type": "No group type",
    "super_condition_value": "Super condition value",
    "holdout_condition_value": "Holdout condition value",
}


@dataclass(frozen=True)
class Subject:
    """Whom a flag is asked for. Groups and their properties go by group type index."""

    distinct_id: str
    properties: Doc = field(default_factory=dict[str, Any])
    groups: dict[int, str] = field(default_factory=dict[int, str])
    group_properties: dict[int, Doc] = field(default_factory=dict[int, Doc])
    device_id: str = ""
    hash_keys: dict[str, str] = field(default_factory=dict[str, str])
    """By flag key: the id a person was first bucketed by, before they were identified."""


@dataclass(frozen=True)
class Answer:
    value: bool | str
    reason: str
    condition_index: int | None = None
    payload: Any = None

    @property
    def description(self) -> str:
        if self.reason == "condition_match":
            return f"Matched condition set {(self.condition_index or 0) + 1}"
        return _DESCRIPTIONS[self.reason]


def bucket(key: str, value: str, salt: str = "", separator: str = ".") -> float:
    """A number from 0 to 1, always the same for the same key and value."""
    digest = sha1(f"{key}{separator}{value}{salt}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:15], 16) / _LONG_SCALE


class Evaluation:
    """All flags of a project, for one subject. A flag another depends on is evaluated once."""

    def __init__(self, flags: list[Doc], subject: Subject, now: datetime) -> None:
        self._by_id = {str(flag["id"]): flag for flag in flags}
        self._subject = subject
        self._now = now
        self._answers: dict[str, Answer] = {}
        self._asking: set[str] = set()

    def answer(self, flag: Doc) -> Answer:
        flag_id = str(flag["id"])
        if flag_id not in self._answers:
            self._asking.add(flag_id)
            self._answers[flag_id] = self._evaluate(flag)
            self._asking.discard(flag_id)
        return self._answers[flag_id]

    def _evaluate(self, flag: Doc) -> Answer:
        if not flag["active"]:
            return Answer(value=False, reason="no_condition_match")
        filters: Doc = flag["filters"]
        identity = self._identity(flag, filters.get("aggregation_group_type_index"))
        if identity is None:
            return Answer(value=False, reason="no_group_type")
        if (enrolled := self._enrolment(flag)) is not None:
            return _with_payload(filters, Answer(enrolled, "super_condition_value", 0))
        if held_out := _holdout(filters.get("holdout") or {}, identity):
            return _with_payload(filters, Answer(held_out, "holdout_condition_value"))
        return self._conditions(flag, identity)

    def _conditions(self, flag: Doc, identity: str) -> Answer:
        filters: Doc = flag["filters"]
        best = Answer(value=False, reason="no_condition_match")
        for index, condition in enumerate(conditions(filters)):
            reason, bucketed_by = self._condition(flag, condition, identity)
            if reason == "condition_match":
                value = _variant(flag, condition, bucketed_by) or True
                return _with_payload(filters, Answer(value, reason, index))
            if _SCORE[reason] >= _SCORE[best.reason]:
                best = Answer(value=False, reason=reason, condition_index=index)
            if filters.get("early_exit") and reason == "out_of_rollout_bound":
                break
        return best

    def _condition(self, flag: Doc, condition: Doc, identity: str) -> tuple[str, str]:
        """Why it matches or not, and what its rollout was decided by."""
        whole: int | None = flag["filters"].get("aggregation_group_type_index")
        own: int | None = condition.get("aggregation_group_type_index", whole)
        if own != whole:
            found = self._subject.distinct_id if own is None else self._subject.groups.get(own)
            if found is None:
                return "no_group_type", identity
            identity = found
        properties = self._subject.properties if own is None else self._subject.group_properties.get(own, {})
        if not all(self._property(each, properties) for each in wanted_of(condition)):
            return "no_condition_match", identity
        rollout = condition.get("rollout_percentage")
        if rollout is not None and bucket(flag["key"], identity) > rollout / 100:
            return "out_of_rollout_bound", identity
        return "condition_match", identity

    def _property(self, wanted: Doc, properties: Doc) -> bool:
        if wanted.get("type") == "flag":
            return self._flag_says(wanted)
        return fits(wanted, properties, self._now)

    def _flag_says(self, wanted: Doc) -> bool:
        """`flag_evaluates_to`: any variant is true, and a name is that variant."""
        flag = self._by_id.get(str(wanted.get("key")))
        if flag is None or str(flag["id"]) in self._asking:
            return False
        value, expected = self.answer(flag).value, wanted.get("value")
        return bool(value) is expected if isinstance(expected, bool) else value == expected

    def _identity(self, flag: Doc, group_type_index: int | None) -> str | None:
        subject = self._subject
        if group_type_index is not None:
            return subject.groups.get(group_type_index)
        if flag.get("bucketing_identifier") == "device_id" and subject.device_id:
            return subject.device_id
        if flag.get("ensure_experience_continuity"):
            return subject.hash_keys.get(flag["key"], subject.distinct_id)
        return subject.distinct_id

    def _enrolment(self, flag: Doc) -> bool | None:
        """Whether the person has enrolled in an early access feature; None where they have not said."""
        said = self._subject.properties.get(f"$feature_enrollment/{flag['key']}")
        return said in (True, "true") if flag["filters"].get("feature_enrollment") and said is not None else None


def _holdout(holdout: Doc, identity: str) -> str | None:
    """A part of all people is kept out of experiments: the same part for every flag."""
    percentage, holdout_id = holdout.get("exclusion_percentage"), holdout.get("id")
    if percentage is None or holdout_id is None:
        return None
    share = min(max(float(percentage), 0.0), 100.0) / 100
    inside = share == 1 or bucket("holdout", identity, separator="-") <= share
    return f"holdout-{holdout_id}" if inside else None


def _variant(flag: Doc, condition: Doc, identity: str) -> str | None:
    known = variants(flag["filters"])
    if condition.get("variant") in [variant["key"] for variant in known]:
        return condition["variant"]
    place, ends = bucket(flag["key"], identity, "variant"), 0.0
    for variant in known:
        ends += variant["rollout_percentage"] / 100
        if place < ends:
            return variant["key"]
    return None


def _with_payload(filters: Doc, answer: Answer) -> Answer:
    key = answer.value if isinstance(answer.value, str) else "true"
    payload = payloads(filters).get(key) if answer.value else None
    return Answer(answer.value, answer.reason, answer.condition_index, payload)
