"""Servers that die at named points: a sample of the whole sweep, another one each day."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from server import crash
from tests.faults.crash_sweep import Sweep, cases, sweep

SAMPLE = 8
SERVER = Path(crash.__file__).parent


async def test_whatever_dies_there_is_one_of_everything(shared: Sweep) -> None:
    seed = datetime.now(UTC).toordinal()
    chosen = Random(seed).sample(cases(seed), SAMPLE)
    assert await sweep(chosen, shared.run, at_once=2) == [], f"seed {seed}"


def test_every_point_is_named_and_every_name_is_a_point() -> None:
    """Points with a leg in their name are written `{name}.point` or as the vendor's own `posting` and `posted`."""
    ends = {point.partition(".")[2] for point in crash.POINTS}
    written = {point for source in SERVER.rglob("*.py") for point in _points_in(source)}
    assert {point.rpartition(".")[2] for point in written} == ends
    assert {point for point in written if "." in point and not point.startswith(".")} <= set(crash.POINTS)


def test_there_are_enough_points() -> None:
    assert len(crash.POINTS) >= 40
    assert len(crash.POINTS) == len(set(crash.POINTS))


def _points_in(source: Path) -> list[str]:
    """The argument of every call of a part named `at`."""
    calls = [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call)]
    arguments = [call.args[0] for call in calls if _is_at(call.func) and call.args]
    found: list[str] = []
    for argument in arguments:
        if isinstance(argument, ast.Constant):
            found.append(str(argument.value))
        elif isinstance(argument, ast.JoinedStr) and isinstance(argument.values[-1], ast.Constant):
            found.append(str(argument.values[-1].value))
    return found


def _is_at(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == "_at"
