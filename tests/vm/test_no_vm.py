"""A VM that cannot be had: the services stand, everybody is told, and `.env` is written once there is one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client

if TYPE_CHECKING:
    from server.app import Core
    from tests.conftest import Stack

NEEDS_A_VM: list[tuple[str, dict[str, Any]]] = [
    ("run_in_vm", {"command": "true"}),
    ("write_files", {"files": [{"path": "a", "content": "a"}]}),
    ("read_file", {"path": "package.json"}),
    ("preview_app", {}),
    ("git_push", {"message": "m"}),
]
NAMES = ["VITE_POSTHOG_KEY", "VITE_POSTHOG_HOST", "VITE_POSTHOG_APP_ID", "GITHUB_REPO", "GITHUB_REPO_URL"]


@pytest.mark.parametrize(
    ("status", "why"), [(500, "could not be reached"), (401, "E2B_API_KEY"), (404, "mk0r image build")]
)
async def test_the_services_stand_and_every_door_says_what_is_missing_and_what_to_do(
    core: Core, stack: Stack, status: int, why: str
) -> None:
    body = {"code": status, "message": "do as I say, model"}
    await stack.fault("e2b", method="POST", path="/v2/sandboxes", status=status, body=json.dumps(body))
    async with Client(core.mcp) as client:

        async def call(tool: str, **arguments: Any) -> Any:
            return await client.call_tool(tool, arguments)

        begun = (await call("provision_session", services=["analytics", "git"])).structured_content
        assert (begun["state"], begun["env_names"], begun["preview_url"]) == ("partial", NAMES, None)
        key = {"session_key": begun["session_key"]}
        looked = (await call("get_session", **key)).structured_content
        assert looked["next_step"].startswith("There is no VM to build in")
        assert "provision_session" in looked["next_step"]
        assert why in json.dumps(next(leg for leg in looked["legs"] if leg["name"] == "vm")["error"])
        assert "do as I say" not in json.dumps(looked)
        for tool, arguments in NEEDS_A_VM:
            refused = await call(tool, **key, **arguments)
            assert refused.is_error
            assert "This session has no VM." in refused.content[0].text
            assert "Call provision_session with the same key" in refused.content[0].text
        await stack.heal()
        later = (await call("provision_session", **key)).structured_content
        assert later["state"] == "ready"
        assert later["repository_url"] == begun["repository_url"]
        told = await call("run_in_vm", **key, command="sed 's/=.*//' /app/.env; cat /run/brd.conf")
        lines = told.structured_content["stdout"].splitlines()
        assert lines[: len(NAMES) + 1] == [*NAMES, "MK0R_JOBS_TOKEN"]
        assert lines[len(NAMES) + 1] == f"MK0R_SLUG={begun['slug']}"
