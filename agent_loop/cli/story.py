"""A session's events as a person reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_loop.cli.screen import BOLD, CYAN, DIM, RED, YELLOW, Screen, clean, spent

if TYPE_CHECKING:
    from agent_loop.cli.client import Event

LIGHTS = {"database": "Neon", "mail": "Resend", "analytics": "PostHog", "git": "GitHub", "vm": "E2B"}


@dataclass
class Story:
    """Prints events, and remembers what the end of a command needs."""

    screen: Screen
    outcome: str | None = None
    reason: str = ""
    model: str | None = None
    _at_line_start: bool = True
    _title: str = ""
    _tools: dict[str, str] = field(default_factory=dict[str, str])

    def tell(self, event: Event) -> None:
        teller = getattr(self, "_" + event.type.replace(".", "_"), None)
        if teller is not None:
            if event.type not in ("text", "thinking"):
                self._end_text()
            teller(event.data)

    def _end_text(self) -> None:
        if not self._at_line_start:
            self.screen.line()
            self._at_line_start = True

    def _session_created(self, data: dict[str, Any]) -> None:
        if data.get("ahead"):
            self.screen.line(self.screen.paint("  made ahead; it was waiting", DIM))

    def _queued(self, data: dict[str, Any]) -> None:
        self.screen.line(f"  {self.screen.mark(None)} many ask at once: number {data['place']} in line")

    def _leg_started(self, data: dict[str, Any]) -> None:
        self.screen.moving(f"  {data['leg']} ...")

    def _leg_queued(self, data: dict[str, Any]) -> None:
        wait = spent(1000 * data["seconds"])
        self.screen.line(f"  {self.screen.mark(None)} {data['leg']:<10} waits for its turn at {data['vendor']}, {wait}")

    def _leg_finished(self, data: dict[str, Any]) -> None:
        lit = data["outcome"] in ("made", "found")
        skipped = data["outcome"] == "skipped"
        names = ", ".join(data["env_names"])
        name = f"{data['leg']:<10}"
        light = self.screen.mark(None if skipped else lit)
        said = f"  {light} {name} {data['outcome']:<7} {spent(data['ms']):>7}  {self.screen.paint(names, DIM)}"
        self.screen.line(said.rstrip())
        if error := data.get("error"):
            self.screen.line(f"    {self.screen.paint(clean(error['message']), RED)} {clean(error['next_action'])}")

    def _vm_lost(self, _: dict[str, Any]) -> None:
        self.screen.line(f"  {self.screen.mark(False)} vm         gone for good; another is made from the repository")

    def _code_restored(self, data: dict[str, Any]) -> None:
        self.screen.line(f"  {self.screen.mark(True)} /app       as last pushed, {clean(data['commit'])[:8]}")

    def _packages_missing(self, _: dict[str, Any]) -> None:
        self.screen.line(f"  {self.screen.mark(False)} packages   npm install failed in the new VM; run it there again")

    def _env_written(self, data: dict[str, Any]) -> None:
        self.screen.line(f"  {self.screen.mark(True)} /app/.env   {len(data['names'])} names {spent(data['ms']):>7}")

    def _provisioned(self, data: dict[str, Any]) -> None:
        self.screen.line(self.screen.paint(f"  the backend is there after {spent(data['ms'])}", DIM))

    def _preview_ready(self, data: dict[str, Any]) -> None:
        url = self.screen.paint(clean(data["url"]), CYAN)
        self.screen.line(f"  {self.screen.mark(True)} preview    up after {spent(data['ms'])}  {url}")

    def _run_started(self, data: dict[str, Any]) -> None:
        self.model = data["model"]
        self.outcome = None
        self._title = f"{clean(data['model'])} is at work"  # said with its first turn: the backend comes first

    def _turn_started(self, _: dict[str, Any]) -> None:
        if self._title:
            self.screen.line()
            self.screen.line(self.screen.paint(self._title, BOLD))
            self._title = ""

    def _text(self, data: dict[str, Any]) -> None:
        text = clean(data["text"])
        if self._at_line_start:
            text = "  " + text.lstrip("\n")
        self.screen.piece(text.replace("\n", "\n  "))
        self._at_line_start = False

    def _thinking(self, data: dict[str, Any]) -> None:
        self.screen.moving(f"  thinking: {' '.join(clean(data['text']).split())[:60]}")

    def _tool_started(self, data: dict[str, Any]) -> None:
        what = clean(data.get("title") or f"{data['name']} {data['summary']}").strip()
        self._tools[data["id"]] = what
        self.screen.moving(f"  {what[:70]} ...")

    def _tool_finished(self, data: dict[str, Any]) -> None:
        what = self._tools.pop(data["id"], clean(data["name"]))
        trouble = clean(data.get("trouble") or data["summary"])
        came = "" if data["ok"] else f"  {self.screen.paint(trouble, YELLOW)}"
        self.screen.line(f"  {self.screen.mark(data['ok'])} {what}  {self.screen.paint(spent(data['ms']), DIM)}{came}")

    def _check(self, data: dict[str, Any]) -> None:
        detail = "" if data["ok"] else f"  {self.screen.paint(clean(data['detail']), YELLOW)}"
        self.screen.line(f"  {self.screen.mark(data['ok'])} check: {clean(data['name'])}  {spent(data['ms'])}{detail}")

    def _commit(self, data: dict[str, Any]) -> None:
        if data.get("error"):
            self.screen.line(f"  {self.screen.mark(False)} commit  {clean(data['error'])}")
            return
        pushed = "pushed" if data["pushed"] else "nothing new to push"
        self.screen.line(f"  {self.screen.mark(True)} commit {(data['sha'] or '')[:8]} {pushed}  {spent(data['ms'])}")

    def _run_finished(self, data: dict[str, Any]) -> None:
        self.outcome, self.reason = data["outcome"], data.get("reason") or ""

    def _session_destroyed(self, _: dict[str, Any]) -> None:
        self.screen.line("  the session was destroyed")
