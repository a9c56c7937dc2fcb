"""The shapes of a conversation: how a run opens one, and what goes into it besides the model's words."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

CUT = "This call was cut off at the output limit and did not run. Send it again in smaller pieces."
GO_ON = "<host>\nYou reached the output limit. Go on.\n</host>"
UNANSWERED = "The run ended before this call was answered."


def opening(history: list[Json], idea: str, session: Json) -> list[Json]:
    """The conversation so far and the new request, in a form every model accepts.

    Thinking of earlier runs is left out: it is bound to the model that thought it, and this run's may be
    another. A call that an interrupted run left open gets an answer.
    """
    kept: list[Json] = []
    for message in history:
        blocks: list[Json] = message["content"]
        spoken = [block for block in blocks if block["type"] not in {"thinking", "redacted_thinking"}]
        if spoken:
            kept.append({"role": message["role"], "content": spoken})
    unanswered = calls_of(kept[-1]["content"]) if kept and kept[-1]["role"] == "assistant" else []
    facts = json.dumps(session, sort_keys=True, ensure_ascii=False)
    request = [text(idea), text(f"<session>\n{facts}\n</session>")]
    return [*kept, {"role": "user", "content": [*(answer(call, UNANSWERED) for call in unanswered), *request]}]


def session_facts(session: Json) -> Json:
    """What the model is told of its session: what is there, under which names, and what is missing and why."""
    legs: list[Json] = session.get("legs") or []
    services: list[Json] = [
        {
            "name": leg["name"],
            "outcome": leg["outcome"],
            **({"error": _sentence(leg["error"])} if leg.get("error") else {}),
        }
        for leg in legs
    ]
    return {"app_id": session.get("app_id"), "env_names": session.get("env_names") or [], "services": services}


def no_vm(facts: Json) -> str:
    """Why nothing can be built in this session; empty when something can."""
    failed = [leg for leg in facts["services"] if leg["name"] == "vm" and leg["outcome"] == "failed"]
    return f"There is no VM to build in. {failed[0].get('error', '')}".strip() if failed else ""


def _sentence(problem: Json | str) -> str:
    if isinstance(problem, str):
        return problem
    return f"{problem.get('message', '')} {problem.get('next_action', '')}".strip()


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def calls_of(content: list[Json]) -> list[Json]:
    """The tool calls among these blocks."""
    return [block for block in content if block["type"] == "tool_use"]


def answer(call: Json, content: list[Json] | str, *, is_error: bool = True) -> Json:
    """A tool_result block; words alone are an error's."""
    blocks = [text(content)] if isinstance(content, str) else content
    return {"type": "tool_result", "tool_use_id": call["id"], "content": blocks, "is_error": is_error}


def commit_message(idea: str, most: int = 72) -> str:
    """The idea's first line, cut between words to git's customary length."""
    line = " ".join((idea.strip().splitlines() or [""])[0].split())
    if len(line) > most:
        line = f"{line[: most - 1].rsplit(' ', 1)[0]}…"
    return line or "Build"
