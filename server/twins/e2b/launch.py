"""Bubblewrap, started: what comes of it is one process that holds a sandbox's namespaces open."""

from __future__ import annotations

import json
import os
import select
import subprocess

from server.twins.e2b import joining

LAUNCH_LIMIT = 10.0
"""Seconds bubblewrap may take to set a sandbox up."""


def launch(argv: list[str], program: bytes) -> tuple[subprocess.Popen[bytes], int, dict[str, int]]:
    """Start bubblewrap, `program` the filter of the sandbox's first process; also that process, and its namespaces."""
    info, info_end = os.pipe()
    given = [info_end]
    words = ["--info-fd", str(info_end)]
    if program:
        rules, rules_end = os.pipe()
        os.write(rules_end, program)  # a pipe holds it
        os.close(rules_end)
        given.append(rules)
        words += ["--seccomp", str(rules)]
    init = subprocess.Popen(
        [*argv[:1], *words, *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=given,
        start_new_session=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    for opened in given:
        os.close(opened)
    assert init.stdout is not None  # noqa: S101 - both are pipes
    assert init.stderr is not None  # noqa: S101
    try:
        ready, _, _ = select.select([init.stdout], [], [], LAUNCH_LIMIT)
        if not ready or not init.stdout.readline():
            init.kill()
            reason = init.stderr.read(2000).decode(errors="replace").strip()
            init.wait()
            raise OSError(0, reason or "bubblewrap did not get ready")
        first = json.loads(os.read(info, 4096))["child-pid"]
        return init, first, joining.open_namespaces(first)
    finally:
        os.close(info)
        init.stdout.close()
        init.stderr.close()
