"""What is installed is what was looked at: pinned, hashed, and from nobody's registry in particular."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "server" / "vm" / "starter", ROOT / "server" / "vm" / "browser", ROOT / "tests" / "contract"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_package_is_hashed_and_carries_no_address(folder: Path) -> None:
    text = (folder / "package-lock.json").read_text()
    packages: dict[str, Any] = json.loads(text)["packages"]
    assert not re.search(r'"resolved"|https?://[^"]*\.tgz', text)
    assert all(entry["integrity"].startswith("sha512-") for name, entry in packages.items() if name)
    assert "omit-lockfile-registry-resolved=true" in (folder / ".npmrc").read_text().splitlines()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_lock_file_is_whole_on_every_platform(folder: Path) -> None:
    packages: dict[str, Any] = json.loads((folder / "package-lock.json").read_text())["packages"]
    for name, entry in packages.items():
        for wanted in entry.get("optionalDependencies", {}):
            places = [f"{name}/node_modules/{wanted}", f"node_modules/{wanted}"]
            assert any(place in packages for place in places), f"{name} lacks {wanted}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_direct_dependencies_are_exact_versions(folder: Path) -> None:
    package = json.loads((folder / "package.json").read_text())
    for version in {**package["dependencies"], **package.get("devDependencies", {})}.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
