"""The weak tier's walls, put up by a child around itself: landlock where Linux has it."""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
from typing import Any

from server.twins.e2b import confine


def load() -> None:
    """Import landlock while its files can still be read; where it cannot be had, the weak tier goes without."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError):
            importlib.import_module("landlockpy")  # `restrict` finds it in `sys.modules`


def restrict(jail: dict[str, Any]) -> None:
    """Only these folders, no signal to a process outside, dead when the supervisor is."""
    confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    confine.prctl(confine.PR_SET_NO_NEW_PRIVS, 1)
    if (landlock := sys.modules.get("landlockpy")) is None or not landlock.supported():
        return
    access = landlock.AccessFS
    everything = access.NONE
    for right in access:
        everything |= right
    read = access.EXECUTE | access.READ_FILE | access.READ_DIR
    with landlock.Ruleset(
        handled_fs=everything,
        handled_net=landlock.AccessNet.NONE,
        scoped=landlock.Scope.SIGNAL | landlock.Scope.ABSTRACT_UNIX_SOCKET,
    ) as rules:
        for paths, rights in ((jail["read"], read), (jail["write"], everything)):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    rules.allow_path(path, rights)
        rules.restrict()
