"""The growth as a picture: what each thing costs among more and more sessions, over what it costs among the fewest."""

from __future__ import annotations

import statistics
from html import escape
from math import log10
from typing import Any

from agent_loop.cli.bench.growth import AIM_GROWTH, FIGURES, RATE, kib_per_session
from agent_loop.cli.bench.measure import told

TIMES = "\N{MULTIPLICATION SIGN}"
WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 64, 250, 72, 64
COLOURS = ("#0f766e", "#b45309", "#4338ca", "#be123c", "#0369a1", "#4d7c0f", "#7e22ce")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#334155}.t{font-size:17px;font-weight:600;fill:#0f172a}"
    ".s{fill:#64748b;font-size:12px}.g{stroke:#e2e8f0}.a{stroke:#94a3b8;stroke-dasharray:5 4}"
)
Points = list[tuple[float, float]]


def drawn(results: dict[str, Any]) -> str:
    """An SVG of a result of `mk0r bench --only growth --out FILE`. Raises `LookupError` where there is no growth."""
    levels = results["notes"]["growth"]
    lines = {name: _grown(name, levels) for name in FIGURES}
    sessions = [float(level["sessions"]) for level in levels]
    top = max(1.5, *(ratio for points in lines.values() for _, ratio in points)) * 1.05
    chart = _Chart(sessions[0], sessions[-1], top)
    parts = [chart.grid(sessions), *(chart.line(points, colour) for points, colour in _coloured(lines))]
    parts += [*_labels(chart, lines, levels)]
    load = results["machine"]["load"][0]
    where = f"{results['machine']['cores']} cores, load {load:g} before it began, stand-in vendors that answer at once"
    title = f"What one more session costs, among {sessions[0]:,.0f} and among {sessions[-1]:,.0f}"
    memory = f"{kib_per_session(levels):.1f} KiB of the server's memory each"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<text class="t" x="{LEFT}" y="30">{escape(title)}</text>'
        f'<text class="s" x="{LEFT}" y="50">Over what it was among the fewest: 1 is no growth. {escape(where)}.</text>'
        f"{''.join(parts)}"
        f'<text class="s" x="{WIDTH - RIGHT + 14}" y="{HEIGHT - 18}">{memory}</text>'
        "</svg>\n"
    )


def _grown(name: str, levels: list[dict[str, Any]]) -> Points:
    medians = [statistics.median(level[name]) for level in levels]
    ratios = [medians[0] / median if name == RATE else median / medians[0] for median in medians]
    return [(level["sessions"], ratio) for level, ratio in zip(levels, ratios, strict=True)]


def _coloured(lines: dict[str, Points]) -> list[tuple[Points, str]]:
    return [*zip(lines.values(), COLOURS, strict=True)]


class _Chart:
    """Sessions on a logarithmic axis, ratios on a plain one."""

    def __init__(self, least: float, most: float, top: float) -> None:
        self._least, self._most, self._top = log10(least), log10(most), top

    def x(self, sessions: float) -> float:
        return LEFT + (log10(sessions) - self._least) / (self._most - self._least) * (WIDTH - LEFT - RIGHT)

    def y(self, ratio: float) -> float:
        return HEIGHT - BOTTOM - ratio / self._top * (HEIGHT - TOP - BOTTOM)

    def grid(self, sessions: list[float]) -> str:
        step = 0.25 if self._top <= 2 else 0.5 if self._top <= 4 else 1.0  # noqa: PLR2004 - as many lines as one can read
        parts = [
            f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(at):.1f}" y2="{self.y(at):.1f}"/>'
            f'<text class="s" x="{LEFT - 10}" y="{self.y(at) + 4:.1f}" text-anchor="end">{at:g}{TIMES}</text>'
            for at in (step * number for number in range(int(self._top / step) + 1))
        ]
        parts += [
            f'<text class="s" x="{self.x(at):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{at:,.0f}</text>'
            for at in sessions
        ]
        middle, aim = (LEFT + WIDTH - RIGHT) / 2, self.y(AIM_GROWTH)
        parts += [
            f'<text class="s" x="{middle:.0f}" y="{HEIGHT - 18}" text-anchor="middle">sessions there</text>',
            f'<line class="a" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{aim:.1f}" y2="{aim:.1f}"/>',
            f'<text class="s" x="{LEFT + 6}" y="{aim - 6:.1f}">the aim: {AIM_GROWTH:g}{TIMES}</text>',
        ]
        return "".join(parts)

    def line(self, points: Points, colour: str) -> str:
        at = [(self.x(sessions), self.y(ratio)) for sessions, ratio in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _labels(chart: _Chart, lines: dict[str, Points], levels: list[dict[str, Any]]) -> list[str]:
    """Each line's name and last figure, at its end and never over another's."""
    ends = sorted(zip(lines, COLOURS, strict=True), key=lambda pair: -lines[pair[0]][-1][1])
    texts: list[str] = []
    below = float("-inf")
    for name, colour in ends:
        below = max(chart.y(lines[name][-1][1]) + 4, below + 32)
        now = statistics.median(levels[-1][name])
        figure = f"{told(now, FIGURES[name])} {FIGURES[name]}"
        x = WIDTH - RIGHT + 14
        texts.append(
            f'<text x="{x}" y="{below:.1f}" style="fill:{colour}">{escape(name)} {lines[name][-1][1]:.2f}{TIMES}</text>'
            f'<text class="s" x="{x}" y="{below + 14:.1f}">{figure} there</text>'
        )
    overlap = max(0.0, below + 14 - (HEIGHT - BOTTOM))
    return [f'<g transform="translate(0 {-overlap:.1f})">{"".join(texts)}</g>']
