"""What may be asked."""

from __future__ import annotations

import pytest

from agent_loop import idea as ideas
from server.errors import BadInput


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("  a run tracker\n", "a run tracker"),
        ("un café ☕", "un café ☕"),
        ("caf\udce9", "caf?"),
        ("a\0b", "a b"),
    ],
)
def test_an_idea_is_kept_as_text_any_database_and_commit_can_hold(asked: str, kept: str) -> None:
    assert ideas.checked(asked) == kept


@pytest.mark.parametrize("asked", ["", " \n", "\0", None, 7, "a" * 10_001])
def test_an_idea_that_says_nothing_or_too_much_is_refused(asked: object) -> None:
    with pytest.raises(BadInput):
        ideas.checked(asked)
