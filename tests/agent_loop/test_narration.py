"""What a watcher is told of a call."""

from __future__ import annotations

from typing import Any

import pytest

from agent_loop.narration import title, trouble
from agent_loop.tools import ToolResult


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("get_env", {}, "Looks at which services there are"),
        ("read_file", {"path": "/app/server/schema.ts"}, "Reads server/schema.ts"),
        ("write_files", {"files": [{"path": "/app/index.html"}]}, "Writes index.html"),
        (
            "write_files",
            {"files": [{"path": f"/app/{path}"} for path in ("index.html", "server/a.ts", "server/b.ts", "src/c.tsx")]},
            "Writes 4 files: 2 in server, 1 beside them, 1 in src",
        ),
        ("write_files", {"files": [{"path": f"/app/server/{n}.ts"} for n in range(4)]}, "Writes 4 files in server"),
        ("run_in_vm", {"command": "npm run check"}, "Checks the types"),
        (
            "run_in_vm",
            {"command": "npm run db:generate -- --name runs && npm run db:migrate"},
            "Writes the migration and applies it to the database",
        ),
        ("run_in_vm", {"command": "rm -f src/A.tsx src/B.tsx"}, "Removes what is not needed"),
        ("run_in_vm", {"command": "ls -1 server && cat src/App.tsx"}, "Looks at the files"),
        (
            "run_in_vm",
            {"command": "# One run through the API: save it.\nnode -e 1"},
            "One run through the API: save it",
        ),
        ("run_in_vm", {"command": "node seed.mjs --all"}, "Runs node seed.mjs --all"),
        ("run_in_vm", {"command": ""}, "Runs nothing"),
        ("preview_app", {"path": "/"}, "Opens the app on a phone"),
        ("preview_app", {"path": "/week"}, "Opens /week on a phone"),
        ("git_push", {"message": "A chart"}, "Saves the code: A chart"),
        ("undo_turn", {}, "Uses undo turn"),
        ("write_files", {"files": "nonsense"}, "Writes nothing"),
    ],
)
def test_a_call_reads_as_a_sentence(tool: str, arguments: dict[str, Any], sentence: str) -> None:
    assert title(tool, arguments) == sentence


def test_trouble_is_the_line_that_names_the_error() -> None:
    data = {
        "exit_code": 2,
        "stdout": "> app@0.1.0 check\n> tsc\n\na.ts(1,1): error TS2322: Not a string.\nFound 1.",
        "stderr": "",
    }
    assert trouble(ToolResult([], data)) == "a.ts(1,1): error TS2322: Not a string."
    assert trouble(ToolResult([], {"exit_code": 1, "stdout": "", "stderr": ""})) == "The command ended with 1."
    assert trouble(ToolResult.error("It could\nnot be reached.")) == "It could not be reached."
    assert trouble(ToolResult([], {"exit_code": 0, "stdout": "error: no"})) == ""
