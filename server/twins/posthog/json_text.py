"""JSON from outside, such that what is kept of it can be read again by SQLite and answered again as JSON."""

from __future__ import annotations

import json
import math
from typing import Any


def parsed(raw: bytes | str) -> Any:
    """Raises `ValueError` for what is no JSON, or nested too deeply, or holds a number no one can keep."""
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        found = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("recursion limit exceeded") from None
    if "\\u" not in text:
        return found
    # Half of a surrogate pair is a character to JSON and to no database.
    whole = json.dumps(found, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.loads(whole)


def _no_constant(name: str) -> float:
    """Python would take `NaN`, which JSON has no word for."""
    raise ValueError(name)


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number
