"""Limits the kernel keeps per user namespace and no `setrlimit` reaches."""

from __future__ import annotations

from typing import Any


def write(values: dict[str, Any]) -> None:
    """Set them for the namespace this process has entered, which takes a capability in it and nothing on the host."""
    for name, value in values.items():
        with open(f"/proc/sys/{name}", "w") as out:  # noqa: PTH123 - a kernel file
            out.write(str(value))
