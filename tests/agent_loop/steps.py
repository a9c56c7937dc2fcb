"""The steps that most of the loop's tests have the model take, and what the tools answered to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.agent_loop.conftest import Stage

DONE = """
[[step]]
say = "All done."
"""

ONE_COMMAND = """
[[step]]
say = "I look around."
[[step.call]]
tool = "run_in_vm"
arguments = { command = "echo $((6*7))" }
expect = "either"
"""


def answers(stage: Stage, request: int = -1) -> list[dict[str, Any]]:
    """The tool results of one recorded request."""
    return [block for block in stage.requests[request]["messages"][-1]["content"] if block["type"] == "tool_result"]
