"""The `mk0r` command: a view of the server. It imports nothing the server is made of."""

from __future__ import annotations


def main() -> int:
    from agent_loop.cli.main import run

    return run()
