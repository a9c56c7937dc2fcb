"""The run tracker where it is really built: in a session's own sandbox, on its own database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.app import Core

EXAMPLE = Path(__file__).parents[2] / "examples" / "run-tracker" / "app"
RUN = {
    "id": "0b54b6a1-64bd-4a5e-9d36-0d5a3a3c1c11",
    "distanceKm": 8.2,
    "durationSeconds": 2652,
    "ranOn": "2026-11-22",
    "note": "Along the river",
}
ASK = """
const url = 'http://127.0.0.1:5173/api/runs'
const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: %s }
const saved = await fetch(url, post)
console.log(JSON.stringify([saved.status, await (await fetch(url)).json()]))
"""
AGAIN = "console.log(JSON.stringify(await (await fetch('http://127.0.0.1:5173/api/runs')).json()))"
SERVED = "for (;;) { const a = await fetch('http://127.0.0.1:5173/api/health').catch(() => null); if (a?.ok) break; }"


async def test_a_run_is_kept_in_the_sessions_own_database_and_survives_a_restart(core: Core) -> None:
    key = core.sessions.mint()
    core.sessions.open(key)
    services = ("database", "mail", "analytics", "git", "vm")
    await core.provisioner.start(key.slug, services)
    session = await core.provisioner.wait(key.slug, 60)
    assert session.state == "ready", session
    vm = session.sandbox_id
    assert vm is not None

    async def run(command: str) -> str:
        done = await core.sandboxes.run(vm, command, cwd="/app", seconds=60)
        assert done.exit_code == 0, done
        return done.stdout

    async def node(script: str) -> str:
        return await run(f"cat <<'END' | node --input-type=module -\n{script}\nEND")

    files = {f"/app/{path.relative_to(EXAMPLE)}": path.read_text() for path in EXAMPLE.rglob("*") if path.is_file()}
    await core.sandboxes.write(vm, files)
    await run("npm run check")
    assert "up to date" in await run("npm run db:migrate")

    status, listed = json.loads(await node(ASK % json.dumps(json.dumps(RUN))))
    assert status == 201
    assert listed == {"runs": [RUN], "kept": True}

    await run("printf \"ANYTHING='else'\\n\" >> .env")
    await run("until grep -q ANYTHING node_modules/.cache/dev.log; do sleep 0.05; done")
    await node(SERVED)
    assert json.loads(await node(AGAIN)) == {"runs": [RUN], "kept": True}

    seen = await run("node /opt/mk0r/browser/preview.mjs --url http://localhost:5173/ --out /tmp/page.png")
    page = json.loads(seen)
    assert page["console_errors"] == []
    assert "Along the river" in page["text"]
