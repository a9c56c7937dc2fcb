"""The rules of the house that a machine can hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for top in ("server", "agent_loop") for path in (ROOT / top).rglob("*.py"))
LOOP_MODULES = ("loop", "model", "checks", "limits", "tools", "journal", "conversation")
THE_STORY = {f"server/{name}.py" for name in ("provision", "attempt", "ending", "environment", "limits", "reaper")}
THE_LOOP = {f"agent_loop/{name}.py" for name in LOOP_MODULES}


def imports_of(path: Path) -> set[str]:
    """Every module this file names in an import, in a function or at the top."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def forbidden_in(name: str) -> str | None:
    if name in THE_LOOP:
        return r"server(\.|$)"
    if name in THE_STORY or name.startswith(("server/books/", "server/legs/", "server/pool/", "server/vm/")):
        return r"(server\.(twins|local)|agent_loop)(\.|$)"
    return r"agent_loop(\.|$)" if name.startswith("server/") else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    forbidden = forbidden_in(str(path.relative_to(ROOT)))
    wrong = sorted(name for name in imports_of(path) if forbidden and re.match(forbidden, name))
    assert wrong == []


def test_a_view_imports_nothing_heavy() -> None:
    program = "import sys; sys.argv = ['mk0r', '--help']; import agent_loop.cli as c; c.main()"
    heavy = ("mcp", "anthropic", "dbos", "e2b", "sqlalchemy")
    after = f"import atexit; atexit.register(lambda: print([m for m in {heavy} if m in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", f"{after}\n{program}"], capture_output=True, text=True, check=False)
    assert ran.stdout.strip().splitlines()[-1] == "[]", ran


def test_lock_files_pin_by_hash_and_name_no_host() -> None:
    locks = [ROOT / "requirements.lock", *ROOT.glob("server/vm/*/package-lock.json")]
    assert len(locks) == 3
    for lock in locks:
        text = lock.read_text()
        assert '"resolved"' not in text
        assert not re.search(r"https?://\S+\.(whl|tgz|tar\.gz)", text)
        assert "sha256:" in text or '"integrity"' in text


def test_only_three_names_reach_the_browser() -> None:
    from server.legs import neon, posthog, resend

    named = {name for module in (neon, posthog, resend) for name in _names_written_by(module)}
    assert sorted(name for name in named if name.startswith("VITE_")) == [
        "VITE_POSTHOG_APP_ID",
        "VITE_POSTHOG_HOST",
        "VITE_POSTHOG_KEY",
    ]


def _names_written_by(module: object) -> set[str]:
    source = Path(str(module.__file__)).read_text()  # type: ignore[attr-defined]
    return set(re.findall(r'"([A-Z][A-Z0-9_]{5,})"', source))


@pytest.mark.parametrize("vendor", ["neon", "resend", "posthog", "github", "e2b", "anthropic"])
def test_every_twin_has_the_same_anatomy(vendor: str) -> None:
    package = ROOT / "server" / "twins" / vendor
    told = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "server/twins/__init__.py").read_text(), re.MULTILINE))
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert told == {"__init__", "routes", "state", "errors", "limits", "operator", "view", "coverage"}
    assert told <= there
    for name, promised in (("__init__", "def build("), ("limits", "class Limits:"), ("view", "class Viewing:")):
        assert promised in (package / f"{name}.py").read_text()
