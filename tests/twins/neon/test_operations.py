"""What goes on behind an answer: in order, one chain at a time, to be asked about until it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.twins.neon.conftest import Neon

HELD = {"method": "OPERATION", "path": "/operations/create_branch", "hold": "copying", "times": 1}


@pytest.fixture(autouse=True)
async def no_faults(neon: Neon) -> None:
    await neon.twin("DELETE", "faults")


async def test_an_operation_is_scheduled_then_runs_then_is_over(neon: Neon) -> None:
    project = (await neon.project())["project"]["id"]
    await neon.twin("POST", "faults", HELD)
    body = {"endpoints": [{"type": "read_write"}]}
    made = await neon.call("POST", f"/projects/{project}/branches", body, status=201)
    await neon.held()
    path = f"/projects/{project}/operations"
    seen = [(await neon.call("GET", f"{path}/{each['id']}"))["operation"] for each in made["operations"]]
    assert [(each["action"], each["status"]) for each in seen] == [
        ("create_branch", "running"),
        ("start_compute", "scheduling"),
    ]
    await neon.twin("POST", "release", {"name": "copying"})
    over = [await neon.over(each) for each in made["operations"]]
    assert over[0]["total_duration_ms"] > 0
    assert over[0]["branch_id"] == made["branch"]["id"]
    assert over[1]["endpoint_id"] == made["endpoints"][0]["id"]


async def test_while_one_runs_the_project_takes_no_other_and_says_423(neon: Neon) -> None:
    created = await neon.project()
    project, branch = created["project"]["id"], f"branches/{created['branch']['id']}"
    endpoint = f"endpoints/{created['endpoints'][0]['id']}"
    await neon.twin("POST", "faults", HELD)
    made = await neon.call("POST", f"/projects/{project}/branches", status=201)
    for method, path, body in (
        ("POST", "branches", {}),
        ("POST", f"{branch}/roles", {"role": {"name": "late"}}),
        ("POST", f"{branch}/databases", {"database": {"name": "late", "owner_name": "neondb_owner"}}),
        ("POST", f"{branch}/roles/neondb_owner/reset_password", None),
        ("POST", f"{branch}/snapshot", None),
        ("POST", f"{endpoint}/suspend", None),
        ("PATCH", endpoint, {"endpoint": {"disabled": True}}),
        ("DELETE", f"branches/{made['branch']['id']}", None),
        ("DELETE", "", None),
    ):
        refused = await neon.call(method, f"/projects/{project}/{path}".rstrip("/"), body, status=423)
        assert refused["message"].startswith("project already has running conflicting operations"), path
    assert (await neon.call("PATCH", f"/projects/{project}", {"project": {"name": "renamed"}}))["operations"] == []
    assert (await neon.project())["project"]["id"], "another project is not in its way"
    await neon.twin("POST", "release", {"name": "copying"})
    for operation in made["operations"]:
        await neon.over(operation)
    await neon.done("POST", f"/projects/{project}/branches", {}, status=201)


async def test_an_operation_that_fails_is_tried_again_and_counts_its_failures(
    neon: Neon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.twins.neon.operations.RETRY_SECONDS", 0.01)
    project = (await neon.project())["project"]["id"]
    fault = {"method": "OPERATION", "path": "/operations/create_branch", "status": 500, "times": 2}
    await neon.twin("POST", "faults", fault)
    made = await neon.call("POST", f"/projects/{project}/branches", status=201)
    path = f"/projects/{project}/operations/{made['operations'][0]['id']}"
    async with asyncio.timeout(20):
        while (seen := (await neon.call("GET", path))["operation"])["status"] != "finished":
            assert seen["status"] in ("running", "failed", "scheduling")
    assert seen["failures_count"] == 2
    assert "retry_at" in seen


async def test_one_that_cannot_be_done_is_given_up_and_the_rest_is_cancelled(
    neon: Neon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.twins.neon.operations.RETRY_SECONDS", 0.01)
    project = (await neon.project())["project"]["id"]
    await neon.twin("POST", "faults", {"method": "OPERATION", "path": "/operations/create_branch", "status": 500})
    body = {"endpoints": [{"type": "read_write"}]}
    made = await neon.call("POST", f"/projects/{project}/branches", body, status=201)
    path = f"/projects/{project}/operations"
    async with asyncio.timeout(20):
        while True:
            newest = (await neon.call("GET", path))["operations"][:2]
            if newest[0]["status"] == "cancelled":
                break
    assert (newest[1]["id"], newest[1]["status"]) == (made["operations"][0]["id"], "error")
    assert newest[1]["error"]


async def test_operations_come_newest_first_and_in_pages(neon: Neon) -> None:
    created = await neon.project()
    project, endpoint = created["project"]["id"], created["endpoints"][0]["id"]
    for action in ("restart", "suspend"):
        await neon.done("POST", f"/projects/{project}/endpoints/{endpoint}/{action}")
    path = f"/projects/{project}/operations"
    whole = (await neon.call("GET", path))["operations"]
    assert [each["action"] for each in whole] == [
        "suspend_compute",
        "start_compute",
        "suspend_compute",
        "start_compute",
        "create_timeline",
    ]
    paged, query = [], {"limit": 2}
    while True:
        page = await neon.call("GET", path, **query)
        if not page["operations"]:
            break
        paged += page["operations"]
        query["cursor"] = page["pagination"]["cursor"]
    assert paged == whole
    await neon.call("GET", path, limit=1001, status=422)
    await neon.call("GET", f"{path}/{uuid4()}", status=404)
