"""Neon's API v2 through the unmodified `neon-api` for Python."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.contract.neon_sdk import Sdk, organization

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.contract.conftest import Service


@pytest.fixture
def sdk(neon: Service) -> Sdk:
    return Sdk(neon)


@pytest.fixture
async def project(sdk: Sdk) -> AsyncIterator[Any]:
    name = f"mk0r-test-{secrets.token_hex(4)}"
    made = (await sdk("project_create", project={"name": name, **organization()})).project
    await sdk.over(made.id)
    yield made
    await sdk.over(made.id)
    await sdk("project_delete", made.id)


async def default_branch(sdk: Sdk, project: Any) -> Any:
    return next(each for each in (await sdk("branches", project.id)).branches if each.default)


async def test_a_project_is_made_read_changed_and_listed(sdk: Sdk, project: Any) -> None:
    assert (await sdk("project", project.id)).project.name == project.name
    changed = await sdk("project_update", project.id, project={"name": f"{project.name}-2"})
    assert changed.project.name == f"{project.name}-2"
    listed = (await sdk("projects", limit=400)).projects
    assert project.id in {each.id for each in listed}


async def test_its_connection_string_connects(sdk: Sdk, project: Any) -> None:
    branch = await default_branch(sdk, project)
    database = (await sdk("databases", project.id, branch.id)).databases[0]
    uri = (await sdk("connection_uri", project.id, database.name, database.owner_name)).uri
    async with await psycopg.AsyncConnection.connect(uri) as connection:
        found = await connection.execute("select current_database(), current_user")
        assert await found.fetchone() == (database.name, database.owner_name)
    pooled = await sdk("connection_uri", project.id, database.name, database.owner_name, True)
    assert pooled.uri.startswith("postgresql://")


async def test_a_branch_comes_and_goes(sdk: Sdk, project: Any) -> None:
    parent = await default_branch(sdk, project)
    made = await sdk("branch_create", project.id, branch={"name": "dev"}, endpoints=[{"type": "read_write"}])
    assert (made.branch.parent_id, made.branch.name) == (parent.id, "dev")
    await sdk.over(project.id)
    assert (await sdk("branch", project.id, made.branch.id)).branch.current_state == "ready"
    renamed = await sdk("branch_update", project.id, made.branch.id, branch={"name": "dev-2"})
    assert renamed.branch.name == "dev-2"
    deleted = await sdk("branch_delete", project.id, made.branch.id)
    assert [each.action.value for each in deleted.operations] == ["suspend_compute", "delete_timeline"]


async def test_roles_and_databases_come_and_go(sdk: Sdk, project: Any) -> None:
    branch = await default_branch(sdk, project)
    here = (project.id, branch.id)
    role = (await sdk("role_create", *here, "analyst")).role
    assert role.password
    await sdk.over(project.id)
    wanted = {"name": "reports", "owner_name": "analyst"}
    await sdk("database_create", *here, database=wanted)
    await sdk.over(project.id)
    assert len((await sdk("databases", *here)).databases) == 2
    reset = (await sdk("role_password_reset", *here, "analyst")).role
    assert reset.password not in (None, role.password)
    await sdk.over(project.id)
    await sdk("database_delete", *here, "reports")
    await sdk.over(project.id)
    await sdk("role_delete", *here, "analyst")
    await sdk.over(project.id)
    assert len((await sdk("roles", *here)).roles) == 1


async def test_a_compute_is_suspended_and_started(sdk: Sdk, project: Any) -> None:
    [endpoint] = (await sdk("endpoints", project.id)).endpoints
    await sdk("endpoint_suspend", project.id, endpoint.id)
    await sdk.over(project.id)
    assert (await sdk("endpoint", project.id, endpoint.id)).endpoint.current_state.value == "idle"
    await sdk("endpoint_start", project.id, endpoint.id)
    await sdk.over(project.id)
    changed = {"suspend_timeout_seconds": 600}
    await sdk("endpoint_update", project.id, endpoint.id, endpoint=changed)
    await sdk.over(project.id)
    assert (await sdk("endpoint", project.id, endpoint.id)).endpoint.suspend_timeout_seconds == 600
    newest = (await sdk("operations", project.id, limit=1)).operations[0]
    assert (await sdk("operation", project.id, newest.id)).operation.action.value == "apply_config"


async def test_a_person_and_their_keys(neon: Service) -> None:
    if neon.stack is None:
        pytest.skip("it takes a person's key, which the operator's is not")
    told = await neon.stack.twin("neon", "POST", "accounts", {"email": "ada@example.com", "plan": "launch"})
    ada = Sdk(neon, told["key"])
    assert (await ada("me")).email == "ada@example.com"
    made = await ada("api_key_create", key_name="laptop")
    assert (await Sdk(neon, made.key)("me")).id == told["user_id"]
    assert [key.name for key in await ada("api_keys")] == ["console", "laptop"]
    assert (await ada("api_key_revoke", str(made.id))).revoked is True
    refused = await Sdk(neon, made.key).refused("me")
    assert refused["message"] == "supplied credentials do not pass authentication"
    refused = await ada.refused("projects")
    assert refused["message"].startswith("org_id is required")


async def test_what_cannot_be_is_refused_in_neons_words(sdk: Sdk, neon: Service, project: Any) -> None:
    missing = await sdk.refused("project", "no-such-project-00000000")
    assert missing.keys() == {"request_id", "code", "message"}
    assert (await Sdk(neon, "napi_bogus").refused("project", project.id))["message"] == (
        "supplied credentials do not pass authentication"
    )
    branch = await default_branch(sdk, project)
    taken = await sdk.refused(
        "role_create", project.id, branch.id, (await sdk("roles", project.id, branch.id)).roles[0].name
    )
    assert "already exists" in taken["message"]
