"""What a person sees: the scripts there are, and every conversation with its turns and the tools called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.core.view import Facts, Link, Table, View

if TYPE_CHECKING:
    from server.twins.anthropic.conversation import Json
    from server.twins.anthropic.script import Shelf
    from server.twins.anthropic.state import Conversations
    from server.twins.core import Site

HERE = "conversations/"


class Viewing:
    def __init__(self, site: Site, shelf: Shelf, conversations: Conversations) -> None:
        self._site = site
        self._shelf = shelf
        self._conversations = conversations

    async def view(self, path: str) -> View:
        """The front page, or one conversation. Raises `KeyError`."""
        if not path:
            return self._front()
        if not path.startswith(HERE):
            raise KeyError(path)
        return self._conversation(self._conversations.one(path.removeprefix(HERE)))

    def _front(self) -> View:
        key = self._site.credential.reveal()
        said = [
            (
                _time(one["last"]),
                Link(one["idea"] or "(no words)", f"{HERE}{one['id']}"),
                _count(one),
                _tools(one),
                one["stop_reason"],
            )
            for one in self._conversations.all()
        ]
        scripts = [
            (one.idea, one.title, one.after or "-", str(len(one.step))) for one in self._shelf.scripts().values()
        ]
        return View(
            "Anthropic: the rehearsal",
            [
                Facts(
                    "This twin",
                    [("Model", "rehearsal: a script is played, no model is at work"), ("Key", f"…{key[-4:]}")],
                ),
                Table("Conversations", ("Last heard of", "Asked for", "Requests", "Tools called", "Stopped"), said),
                Table("Ideas it has a script for", ("Idea", "Script", "Comes after", "Steps"), scripts),
            ],
        )

    def _conversation(self, one: Json) -> View:
        usage = [(name.replace("_", " ").capitalize(), f"{figure:,}") for name, figure in one["usage"].items()]
        facts = [
            ("Began", _time(one["began"])),
            ("Last heard of", _time(one["last"])),
            ("Requests", _count(one)),
            ("Stopped", one["stop_reason"]),
        ]
        turns = [(turn["role"], turn["what"], turn["text"]) for turn in one["turns"]]
        return View(
            one["idea"] or "(no words)",
            [
                Facts("Conversation", [*facts, *usage]),
                Table("Tools called", ("Tool", "Times"), [(name, str(times)) for name, times in one["tools"].items()]),
                Table("Turns", ("Who", "What", "Content"), turns),
            ],
        )


def _time(stamp: str) -> str:
    return stamp[:19].replace("T", " ")


def _count(one: Json) -> str:
    return str(one["requests"])


def _tools(one: Json) -> str:
    return ", ".join(f"{name} x{times}" if times > 1 else name for name, times in one["tools"].items()) or "-"
