"""Templates of E2B, built by its unmodified Python SDK: what the steps left is what a sandbox begins as."""

# pyright: reportUnknownMemberType=false
# (the SDK's builder takes paths of nothing in particular)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2b import AsyncSandbox, AsyncTemplate, TemplateBuildStatus, wait_for_port
from e2b.exceptions import BuildException, SandboxException

from tests.contract.e2b_sdk import eventually, options, unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.contract.conftest import Opener, Service

SERVER = "require('http').createServer((q, s) => s.end('served ' + process.env.GREETING)).listen(4567)\n"


@pytest.fixture(scope="module")
async def e2b(open_service: Opener) -> AsyncIterator[Service]:
    async with open_service("e2b") as service:
        yield service


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build's files."""
    (tmp_path / "site" / "deep").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("<p>hello</p>\n")
    (tmp_path / "site" / "deep" / "leaf.txt").write_text("leaf\n")
    (tmp_path / "server.js").write_text(SERVER)
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


async def remove(service: Service, template_id: str) -> None:
    async with httpx.AsyncClient(trust_env=service.live) as api:
        gone = await api.delete(f"{service.base_url}/templates/{template_id}", headers={"X-API-KEY": service.key})
        assert gone.status_code == 204


async def test_a_template_is_built_and_its_sandboxes_begin_with_it(e2b: Service, context: Path) -> None:
    name, heard = unique("template"), list[str]()
    template = (
        AsyncTemplate(file_context_path=context)
        .from_template("base")
        .set_envs({"GREETING": "hello", "TWICE": "$GREETING $GREETING"})
        .set_workdir("/root/work")
        .copy("site", "public")
        .copy("server.js", "/root/work/app/", mode=0o755)
        .copy(["one.txt", "two.txt"], "texts/")
        .run_cmd(["echo $TWICE > twice.txt", "echo printed by the build"])
        .run_cmd("echo kept > /tmp/kept.txt")
        .set_start_cmd("node app/server.js", wait_for_port(4567))
    )
    built = await AsyncTemplate.build(
        template, name, on_build_logs=lambda entry: heard.append(entry.message), **options(e2b)
    )
    assert any("printed by the build" in line for line in heard)
    assert await AsyncTemplate.exists(name, **options(e2b))
    sandbox = await AsyncSandbox.create(name, timeout=120, **options(e2b))
    assert (await sandbox.get_info()).template_id == built.template_id
    seen = await sandbox.commands.run("pwd; cat public/deep/leaf.txt texts/one.txt twice.txt; stat -c %a app/server.js")
    assert seen.stdout.splitlines() == ["/root/work", "leaf", "one.txthello hello", "755"]
    assert await sandbox.files.read("/tmp/kept.txt") == "kept\n"
    assert await sandbox.files.read("public/index.html") == "<p>hello</p>\n"
    host = sandbox.get_host(4567)
    base = f"https://{host}" if e2b.live else e2b.direct_url
    async with httpx.AsyncClient(trust_env=e2b.live) as client:
        assert (await client.get(base, headers={"host": host})).text == "served hello"
    await sandbox.kill()
    await remove(e2b, built.template_id)
    assert not await AsyncTemplate.exists(name, **options(e2b))


async def test_a_template_builds_on_another(e2b: Service) -> None:
    first, second = unique("first"), unique("second")
    below = AsyncTemplate().from_template("base").run_cmd("echo below > /root/below.txt")
    one = await AsyncTemplate.build(below, first, **options(e2b))
    above = AsyncTemplate().from_template(first).run_cmd("cat /root/below.txt > /root/above.txt && rm /root/below.txt")
    two = await AsyncTemplate.build(above, second, **options(e2b))
    sandbox = await AsyncSandbox.create(second, timeout=60, **options(e2b))
    assert await sandbox.files.read("/root/above.txt") == "below\n"
    assert not await sandbox.files.exists("/root/below.txt")
    await sandbox.kill()
    for built in (one, two):
        await remove(e2b, built.template_id)


async def test_tags_choose_between_builds(e2b: Service) -> None:
    name = unique("tagged")

    async def build(version: str) -> Any:
        template = AsyncTemplate().from_template("base").run_cmd(f"echo {version} > /root/version")
        return await AsyncTemplate.build(template, f"{name}:{version}", **options(e2b))

    async def version_of(reference: str) -> str:
        sandbox = await AsyncSandbox.create(reference, timeout=60, **options(e2b))
        found = await sandbox.files.read("/root/version")
        await sandbox.kill()
        return found.strip()

    one, two = await build("v1"), await build("v2")
    assert one.template_id == two.template_id
    assert (await version_of(f"{name}:v1"), await version_of(f"{name}:v2")) == ("v1", "v2")
    assigned = await AsyncTemplate.assign_tags(f"{name}:v1", ["production"], **options(e2b))
    assert assigned.build_id == one.build_id
    assert await version_of(f"{name}:production") == "v1"
    tags = {each.tag: each.build_id for each in await AsyncTemplate.get_tags(name, **options(e2b))}
    assert tags == {"v1": one.build_id, "v2": two.build_id, "production": one.build_id}
    await AsyncTemplate.remove_tags(name, "production", **options(e2b))
    with pytest.raises(SandboxException):
        await AsyncSandbox.create(f"{name}:production", **options(e2b))
    await remove(e2b, one.template_id)


async def test_a_step_that_fails_ends_the_build_and_says_why(e2b: Service) -> None:
    name = unique("failing")
    template = AsyncTemplate().from_template("base").run_cmd("echo fine").run_cmd("echo about to fail >&2; exit 3")
    started = await AsyncTemplate.build_in_background(template, name, **options(e2b))

    async def ended() -> Any:
        status = await AsyncTemplate.get_build_status(started, **options(e2b))
        return status if status.status in (TemplateBuildStatus.READY, TemplateBuildStatus.ERROR) else None

    status = await eventually(ended, 120)
    assert status.status == TemplateBuildStatus.ERROR
    assert status.reason is not None
    assert status.reason.step == "2"
    assert any("about to fail" in entry.message for entry in status.log_entries)
    with pytest.raises(BuildException):
        await AsyncTemplate.build(template, name, **options(e2b))
    with pytest.raises(SandboxException):
        await AsyncSandbox.create(name, **options(e2b))
    await remove(e2b, started.template_id)


async def test_a_base_that_cannot_be_had_is_refused(e2b: Service) -> None:
    if e2b.live:
        pytest.skip("E2B pulls images from registries, which a local twin does not")
    name = unique("image")
    with pytest.raises(BuildException, match="base image 'python:3' cannot be had"):
        await AsyncTemplate.build(AsyncTemplate().from_python_image("3").run_cmd("true"), name, **options(e2b))
    with pytest.raises(BuildException, match="user 'somebody' does not exist"):
        await AsyncTemplate.build(AsyncTemplate().from_template("base").set_user("somebody"), name, **options(e2b))
    with pytest.raises(BuildException, match="template 'nothing-of-this-name' not found"):
        await AsyncTemplate.build(AsyncTemplate().from_template("nothing-of-this-name"), name, **options(e2b))
    await remove(e2b, name)
