"""What is printed: plain anywhere, colour on a terminal only, and never somebody else's control characters."""

from __future__ import annotations

import io
from typing import Any

from agent_loop.cli.client import Event, parsed
from agent_loop.cli.psql import connection
from agent_loop.cli.screen import Screen, StackProgress, clean, spent, table
from agent_loop.cli.story import Story


class Terminal(io.StringIO):
    encoding = "utf-8"  # pyright: ignore[reportAssignmentType] - what a terminal says

    def isatty(self) -> bool:
        return True


def told(*events: tuple[str, dict[str, Any]]) -> str:
    out = io.StringIO()
    story = Story(Screen(out))
    for number, (kind, data) in enumerate(events, 1):
        story.tell(Event(number, kind, data))
    return out.getvalue()


LEG = {"leg": "database", "outcome": "made", "ms": 61, "env_names": ["DATABASE_URL"], "error": None}


def test_a_light_comes_on_with_its_milliseconds_and_names() -> None:
    assert told(("leg.finished", LEG)) == "  ● database   made      61 ms  DATABASE_URL\n"


def test_a_failed_leg_says_why_and_what_to_do() -> None:
    error = {"code": "timed_out", "message": "Neon took too long.", "next_action": "Run mk0r resume."}
    out = told(("leg.finished", {**LEG, "outcome": "failed", "env_names": [], "error": error}))
    assert "✗ database" in out
    assert "Neon took too long. Run mk0r resume." in out


def test_text_that_comes_in_pieces_is_one_paragraph_and_the_next_line_starts_fresh() -> None:
    out = told(
        ("text", {"text": "I will "}),
        ("text", {"text": "look."}),
        ("tool.started", {"id": "1", "name": "run_in_vm", "summary": "ls"}),
        ("tool.finished", {"id": "1", "name": "run_in_vm", "ok": False, "ms": 1200, "summary": "exit 2"}),
    )
    assert out == "  I will look.\n  ✗ run_in_vm ls  1.2 s  exit 2\n"


def test_an_event_nobody_knows_yet_is_passed_over() -> None:
    assert told(("something.new", {"a": 1})) == ""


def test_the_newest_run_decides_the_outcome() -> None:
    story = Story(Screen(io.StringIO()))
    for number, outcome in enumerate(("failed", "done")):
        story.tell(Event(number, "run.started", {"model": "rehearsal"}))
        story.tell(Event(number, "run.finished", {"outcome": outcome}))
    assert story.outcome == "done"


def test_what_a_model_writes_cannot_drive_the_terminal() -> None:
    assert clean("a\x1b]0;title\x07b\x9b31mc\x7f\td\n") == "a]0;titleb31mc\td\n"
    assert "\x1b" not in told(("text", {"text": "\x1b[2J"}))


def test_colour_is_for_terminals_and_yields_to_no_color() -> None:
    for stream, environ, coloured in (
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ):
        assert ("\x1b" in Screen.on(stream, environ).paint("x", "1")) is coloured


def test_a_stream_without_unicode_gets_plain_signs() -> None:
    out = io.StringIO()
    screen = Screen(out, unicode=False)
    screen.line(f"{screen.mark(True)} ● ready")
    assert out.getvalue() == "* ? ready\n"


def test_a_start_seen_under_way_says_each_step_once_and_one_long_over_says_nothing() -> None:
    step = {"name": "twins", "detail": "", "ms": 40}
    out = io.StringIO()
    progress = StackProgress(Screen(out))
    progress({**step, "state": "done"})
    assert out.getvalue() == ""
    for state in ("running", "running", "done", "done"):
        progress({**step, "state": state})
    assert out.getvalue() == "  ● twins  40 ms\n"


def test_a_step_that_takes_long_says_so_without_a_terminal() -> None:
    out = io.StringIO()
    progress = StackProgress(Screen(out), _first={"app template": 0.0})
    progress({"name": "app template", "state": "running", "detail": "npm ci", "ms": None})
    progress({"name": "app template", "state": "running", "detail": "npm ci", "ms": None})
    assert out.getvalue() == "  app template: npm ci ...\n"


def test_events_are_read_from_a_stream_with_pings_in_it() -> None:
    lines = [
        b"retry: 1000\n",
        b"\n",
        b": ping\n",
        b"\n",
        b"id: 3\n",
        b"event: text\n",
        b'data: {"text": "h\xc3\xa9"}\n',
    ]
    assert list(parsed(iter([*lines, b"\n"]))) == [Event(3, "text", {"text": "hé"})]


def test_the_password_goes_to_psql_by_environment_and_is_decoded() -> None:
    url = "postgresql://app:npg_%40x%2F@localhost:25000/app-db?sslmode=require&channel_binding=require"
    assert connection(url) == {
        "PGHOST": "localhost",
        "PGPORT": "25000",
        "PGUSER": "app",
        "PGPASSWORD": "npg_@x/",
        "PGDATABASE": "app-db",
        "PGSSLMODE": "require",
        "PGCHANNELBINDING": "require",
    }


def test_times_and_tables_read_well() -> None:
    assert [spent(ms) for ms in (None, 12.4, 1234, 610_000)] == ["", "12 ms", "1.2 s", "10 min"]
    assert table([("A", "B"), ("long", "c")]) == ["A     B", "long  c"]
