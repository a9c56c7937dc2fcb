"""What a measurement gives: samples with a unit, and where there is one the figure aimed at."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One row: what was measured, its unit, and every sample in the order taken."""

    name: str
    unit: str
    samples: list[float] = field(default_factory=list[float])
    aim: float | None = None
    """The median is to be no more than this; no less, where `more_is_better`."""
    more_is_better: bool = False
    stood_in: str = "twins"
    """What stood for the vendors: `twins`, or the `stand-in` that only answers."""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def p99(self) -> float:
        return sorted(self.samples)[-(-99 * len(self.samples) // 100) - 1]

    @property
    def reached(self) -> bool | None:
        """Whether the aim was; None without one."""
        if self.aim is None:
            return None
        return self.median >= self.aim if self.more_is_better else self.median <= self.aim

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "median": self.median, "p99": self.p99, "reached": self.reached}


def told(number: float, unit: str) -> str:
    """A figure as a person reads it."""
    digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2  # noqa: PLR2004 - three figures are enough
    return f"{number:,.{digits}f}"
