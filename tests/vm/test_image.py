"""Our image, built by E2B's unmodified SDK: a sandbox of that name is what one of the local template is."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from e2b import AsyncSandbox

from server.errors import LegError
from server.vm import build, image

if TYPE_CHECKING:
    from server.app import Core

NAME = "mk0r-built"
FACTS = """
git log --format=%s; git rev-parse HEAD^{tree}; git status --porcelain; git branch --show-current
node --version | cut -d. -f1; pwd
node /opt/mk0r/browser/preview.mjs --url http://localhost:5173 --out /tmp/shown.png | head -c 14
"""


@pytest.mark.timeout(400)  # all packages are installed anew
async def test_sandboxes_of_the_built_image_are_those_of_the_local_template(core: Core) -> None:
    options = core.sandboxes.api()
    environ = {**os.environ, "E2B_API_KEY": options["api_key"], "MK0R_E2B_API_URL": options["api_url"]}
    command = (str(Path(sys.executable).parent / "mk0r"), "image", "build", "--json", "--name", NAME)
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(300):
        told, _ = await process.communicate()
    *lines, built = [json.loads(line) for line in told.splitlines()]
    assert process.returncode == 0, lines
    assert built["name"] == NAME
    assert any("Template is ready" in line["line"] for line in lines)
    mine = await AsyncSandbox.create(NAME, timeout=120, **options)
    prepared = await AsyncSandbox.create(image.TEMPLATE, timeout=120, **options)
    try:
        assert await core.sandboxes.answers(mine.sandbox_id)
        assert await core.sandboxes.answers(prepared.sandbox_id)
        seen = [(await core.sandboxes.run(one.sandbox_id, FACTS)).stdout for one in (mine, prepared)]
        assert seen[0] == seen[1]
        first, _, *others = seen[0].splitlines()
        assert [first, *others[:3]] == ["Begin with the starter", "main", f"v{image.NODE}", image.WORKDIR]
        assert seen[0].endswith('{"status":200,')
    finally:
        for one in (mine, prepared):
            await one.kill()


async def test_a_step_that_fails_is_told_in_our_words_after_its_own_lines(core: Core, tmp_path: Path) -> None:
    for part in (image.STARTER, image.BROWSER):
        (tmp_path / part.source).mkdir()
        (tmp_path / part.source / "package.json").write_text("{}")
    told: list[str] = []
    with pytest.raises(LegError, match="could not build mk0r-broken") as failed:
        await build.build(core.sandboxes, "mk0r-broken", lambda _, line: told.append(line), sources=tmp_path)
    assert "package-lock" in "\n".join(told)
    assert "npm" not in str(failed.value)
