"""Which script an idea asks for: the nearest by its words, or none when even that one is far."""

from __future__ import annotations

import re
from collections import Counter
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.twins.anthropic.script import Script

NEAR_ENOUGH = 0.39
"""Cosine of two bags of words. Ideas for our examples, said in many ways, score above; others below. See the tests."""
SUBJECT_WEIGHT = 3
_PLAIN_WORDS = """
a about an and app application are as at be build by can create do each every for from get give
have i in into is it its let like make me mobile my of on or our please simple so some something
that the their them then there they this to up us use user want we web what when where which who
will with would you your actually also just really
"""
_PLAIN = frozenset(_PLAIN_WORDS.split())


def nearest(idea: str, scripts: Iterable[Script]) -> Script | None:
    """The script that fits best, if one fits."""
    scored = [(closeness(idea, script), script) for script in scripts]
    best = max(scored, key=lambda one: one[0], default=None)
    return best[1] if best and best[0] >= NEAR_ENOUGH else None


def closeness(idea: str, script: Script) -> float:
    """From 0, nothing in common, to 1, the same words."""
    asked, offered = Counter(dict.fromkeys(_words(idea), 1)), _bag(script)
    shared = sum(asked[word] * weight for word, weight in offered.items())
    length = sqrt(sum(asked.values())) * sqrt(sum(weight**2 for weight in offered.values()))
    return shared / length if length else 0.0


def _bag(script: Script) -> Counter[str]:
    bag = Counter(dict.fromkeys(_words(" ".join((script.idea, *script.keywords))), 1))
    return bag | Counter(dict.fromkeys(_words(" ".join(script.subject)), SUBJECT_WEIGHT))


def _words(text: str) -> list[str]:
    return [_stem(word) for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _PLAIN]


def _stem(word: str) -> str:
    """Enough that runs, running and runner meet. English only, as the scripts are."""
    for ending in ("ing", "ers", "er", "ies", "es", "ed", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004 - what is left must say something
            stem = word[: -len(ending)]
            return stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] else stem  # noqa: PLR2004 - runn, jogg
    return word
