"""What goes into a conversation beside the model's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_loop import prompts
from agent_loop.conversation import commit_message, no_vm, opening, session_facts

SESSION: dict[str, Any] = {
    "session_key": None,
    "app_id": "mk0r-a",
    "env_names": ["DATABASE_URL"],
    "preview_url": "http://127.0.0.1:1",
    "legs": [
        {"name": "database", "outcome": "made", "ms": 12},
        {"name": "mail", "outcome": "failed", "error": {"message": "Resend is down.", "next_action": "Wait."}},
    ],
}


@pytest.mark.parametrize(
    ("idea", "message"),
    [
        ("A run tracker", "A run tracker"),
        ("  A run\ttracker \nwith charts", "A run tracker"),
        ("", "Build"),
        ("x" * 72, "x" * 72),
        (f"{'word ' * 20}", f"{'word ' * 13}word…"),
    ],
)
def test_a_commit_message_is_the_ideas_first_line(idea: str, message: str) -> None:
    assert commit_message(idea) == message
    assert len(message) <= 72


def test_the_model_is_told_what_is_there_and_what_is_missing() -> None:
    facts = session_facts(SESSION)
    assert facts == {
        "app_id": "mk0r-a",
        "env_names": ["DATABASE_URL"],
        "services": [
            {"name": "database", "outcome": "made"},
            {"name": "mail", "outcome": "failed", "error": "Resend is down. Wait."},
        ],
    }
    assert no_vm(facts) == ""


def test_a_first_request_is_the_idea_and_the_session() -> None:
    (message,) = opening([], "A run tracker", session_facts(SESSION))
    idea, session = (block["text"] for block in message["content"])
    assert idea == "A run tracker"
    assert json.loads(session.removeprefix("<session>").removesuffix("</session>"))["app_id"] == "mk0r-a"


def test_a_message_of_thinking_alone_is_left_out_of_a_later_run() -> None:
    thought: dict[str, Any] = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    history: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": [thought]},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Hello"}]},
    ]
    told = opening(history, "More", session_facts(SESSION))
    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert told[1]["content"] == [{"type": "text", "text": "Hello"}]


def test_the_system_prompt_ends_with_the_skill_and_a_cache_mark() -> None:
    house, skill = prompts.system("SKILL")
    assert house["text"].startswith("You build mobile web apps.")
    assert skill == {
        "type": "text",
        "text": "<skill>\nSKILL\n</skill>",
        "cache_control": {"type": "ephemeral"},
    }
