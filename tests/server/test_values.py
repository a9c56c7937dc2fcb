"""Where a session's values go, and where they never do."""

from __future__ import annotations

import base64
import subprocess
from typing import TYPE_CHECKING, Any

from mcp import Client

from tests.server.driving import in_vm, provisioned

if TYPE_CHECKING:
    from pathlib import Path

    from server.app import Core
    from server.books.sessions import SessionKey


async def test_values_reach_the_vm_and_no_tool_result(core: Core) -> None:
    key = await provisioned(core)
    session = core.sessions.by_slug(key.slug)
    password = core.vault.get(key.slug)["NEON_ROLE_PASSWORD"].reveal()
    token = core.vault.get(key.slug)["RESEND_API_KEY"].reveal()
    jobs = core.vault.get(key.slug)["MK0R_JOBS_TOKEN"].reveal()
    assert password in await in_vm(core, key, "cat /app/.env")
    tries: list[tuple[str, dict[str, Any]]] = [
        ("get_env", {}),
        ("get_session", {}),
        ("read_file", {"path": "/app/.env"}),
        ("read_file", {"path": "../app/.env"}),
        ("run_in_vm", {"command": "cat .env; base64 -w0 .env; (printf x; cat .env) | base64 -w0; cat .env >&2"}),
        ("run_in_vm", {"command": "cp .env copy.txt"}),
        ("read_file", {"path": "copy.txt"}),
    ]
    async with Client(core.mcp) as client:
        answers = [await client.call_tool(name, {"session_key": key.reveal(), **args}) for name, args in tries]
    told = "".join(answer.model_dump_json() for answer in answers)
    for secret in (password, token, jobs, base64.b64encode(password.encode()).decode()[:-4]):
        assert secret not in told
    assert "***" in told
    assert session.slug in told


async def test_a_commit_with_a_secret_is_not_pushed_and_one_without_is(core: Core, tmp_path: Path) -> None:
    key = await provisioned(core)
    arguments = {"session_key": key.reveal(), "message": "First: $(touch /tmp/x) `id` 'quotes' \"and\"\n\nbody"}
    async with Client(core.mcp) as client:
        await client.call_tool("run_in_vm", {"session_key": key.reveal(), "command": "cp .env notes.txt"})
        refused = await client.call_tool("git_push", arguments)
        assert refused.is_error
        assert "notes.txt holds a secret" in refused.model_dump_json()
        alone = "git reset -q --soft HEAD~1; grep JOBS_TOKEN .env > notes.txt"
        await client.call_tool("run_in_vm", {"session_key": key.reveal(), "command": alone})
        assert "notes.txt holds a secret" in (await client.call_tool("git_push", arguments)).model_dump_json()
        undo = "rm notes.txt && git reset -q --soft HEAD~1"
        await client.call_tool("run_in_vm", {"session_key": key.reveal(), "command": undo})
        await client.call_tool("run_in_vm", {"session_key": key.reveal(), "command": "echo hello > hello.txt"})
        pushed = (await client.call_tool("git_push", arguments)).structured_content
        again = (await client.call_tool("git_push", arguments)).structured_content
    assert pushed is not None
    assert again is not None
    assert (pushed["pushed"], again["pushed"], pushed["commit"]) == (True, False, again["commit"])
    files = _clone(core, key, tmp_path / "clone")
    assert "hello.txt" in files
    assert ".env" not in files
    log = subprocess.check_output(["git", "log", "-1", "--format=%B"], cwd=tmp_path / "clone", text=True)
    assert log.strip() == arguments["message"]


async def test_which_commit_was_pushed_is_not_what_the_vm_says(core: Core, tmp_path: Path) -> None:
    key = await provisioned(core, ("git", "vm"))
    shim = 'case "$1" in rev-parse) cat /app/.env;; *) exec /usr/bin/git "$@";; esac'
    await in_vm(core, key, f"printf '%s' '#!/bin/sh\n{shim}' > /app/node_modules/.bin/git")
    await in_vm(core, key, "chmod +x /app/node_modules/.bin/git")
    pushed = await core.workbench.push(core.sessions.by_slug(key.slug), "Save")
    _clone(core, key, tmp_path / "clone")
    there = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path / "clone", text=True)
    assert pushed.commit == there.strip()


def _clone(core: Core, key: SessionKey, to: Path) -> list[str]:
    token = core.settings.github_token
    assert token is not None
    url = f"{core.settings.github_git_url}/{core.sessions.by_slug(key.slug).leg('git').reference['full_name']}.git"
    url = url.replace("://", f"://x-access-token:{token.reveal()}@")
    subprocess.run(["git", "clone", "-q", url, str(to)], check=True)
    return sorted(path.name for path in to.iterdir())
