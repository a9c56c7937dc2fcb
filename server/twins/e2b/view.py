"""What a person sees of the twin: its sandboxes with their processes, logs and files; its templates."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from server.errors import StackError
from server.twins.core import WireError
from server.twins.core.view import Block, Facts, Link, Table, Text, View
from server.twins.e2b import view_files, view_templates
from server.twins.e2b.errors import FileTrouble
from server.twins.e2b.metrics import MIB

if TYPE_CHECKING:
    from server.twins.e2b.builds import Builder
    from server.twins.e2b.metrics import Metrics, Sample
    from server.twins.e2b.record import Record
    from server.twins.e2b.state import Sandboxes

LOGS_SHOWN = 200


class Viewing:
    def __init__(self, sandboxes: Sandboxes, metrics: Metrics, builder: Builder) -> None:
        self._sandboxes = sandboxes
        self._metrics = metrics
        self._builder = builder

    async def view(self, path: str) -> View:
        """Paths: nothing, `sandbox/ID`, `files/ID/PATH`, `template/ID`, `build/ID`. Raises `KeyError`."""
        kind, _, rest = path.partition("/")
        try:
            if not path:
                return self._front()
            if kind == "sandbox":
                return await self._sandbox(self._sandboxes.get(rest))
            if kind == "files":
                sandbox_id, _, inner = rest.partition("/")
                return await view_files.files(self._sandboxes, self._sandboxes.get(sandbox_id), "/" + unquote(inner))
            if kind == "template":
                return view_templates.template(self._sandboxes.catalog, rest)
            if kind == "build":
                return view_templates.build(self._sandboxes.catalog, self._builder, rest)
        except WireError:
            raise KeyError(path) from None
        raise KeyError(path)

    def _front(self) -> View:
        sandboxes = [
            [
                Link(record.id, f"sandbox/{record.id}"),
                record.state,
                record.alias or record.template,
                _pairs(record.metadata),
                record.started[:19],
                record.end[:19],
            ]
            for record in reversed(self._sandboxes.all())
        ]
        catalog = self._sandboxes.catalog
        templates = [
            [
                Link(template.names[0] if template.names else template.id, f"template/{template.id}"),
                f"snapshot of {template.sandbox}" if template.sandbox else "template",
                ", ".join(template.tags),
                str(template.spawned),
            ]
            for template in catalog.all()
        ]
        return View(
            "E2B",
            [
                Table("Sandboxes", ["Sandbox", "State", "Template", "Metadata", "Started", "Ends"], sandboxes),
                Table("Templates", ["Name", "Kind", "Tags", "Sandboxes made"], templates),
            ],
        )

    async def _sandbox(self, record: Record) -> View:
        network = record.network
        blocks: list[Block] = [
            Facts(
                "Sandbox",
                [
                    ("State", record.state + (f" ({record.pause_mode})" if record.state == "paused" else "")),
                    ("Template", Link(record.alias or record.template, f"template/{record.template}")),
                    ("Started", record.started[:19]),
                    ("Ends", f"{record.end[:19].replace('T', ' ')}, then {record.on_timeout}"),
                    ("Plain door", f"http://127.0.0.1:{record.door}" if record.door > 0 else "none"),
                    ("Metadata", _pairs(record.metadata)),
                    ("Environment", ", ".join(sorted(record.envs)) or "nothing beyond the template's"),
                    ("Files", Link(record.workdir, f"files/{record.id}{quote(record.workdir)}")),
                ],
            ),
            Facts(
                "Network",
                [
                    ("May reach", ", ".join(network.get("allowOut") or []) or _default(record)),
                    ("May not reach", ", ".join(network.get("denyOut") or []) or "nothing named"),
                    ("Open to all", "yes" if record.public else "with its traffic token only"),
                    ("Host its server hears", str(network.get("maskRequestHost") or "as it was asked for")),
                ],
            ),
        ]
        if (sample := await self._sample(record)) is not None:
            blocks += [_usage(record, sample), _processes(sample)]
        entries = self._sandboxes.log(record.id).entries()[-LOGS_SHOWN:]
        lines = "\n".join(f"{each.at:%H:%M:%S} {each.level:5} {each.message}" for each in entries)
        return View(record.id, [*blocks, Text("Log", lines or "Nothing yet.")])

    async def _sample(self, record: Record) -> Sample | None:
        machine = self._sandboxes.up.get(record.id)
        if machine is None or record.state != "running":
            return None
        with contextlib.suppress(StackError, FileTrouble, OSError):
            return await self._metrics.now(self._sandboxes, machine)
        return None


def _pairs(values: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _default(record: Record) -> str:
    return "the internet" if record.internet else "nothing" if record.internet is False else "the package registry"


def _usage(record: Record, sample: Sample) -> Block:
    return Facts(
        "Use",
        [
            ("Processor", f"{sample.cpu_percent:.1f}% of {record.cpus}"),
            ("Memory", f"{sample.memory / MIB:.1f} MiB"),
            ("Disk", f"{sample.disk / MIB:.1f} MiB"),
        ],
    )


def _processes(sample: Sample) -> Block:
    """As a tree: each below the one that started it."""
    below: dict[int, list[dict[str, Any]]] = {}
    known = {each["pid"] for each in sample.processes}
    for each in sample.processes:
        below.setdefault(each["parent"] if each["parent"] in known else 0, []).append(each)
    rows: list[list[str]] = []

    def add(parent: int, depth: int) -> None:
        for each in sorted(below.get(parent, ()), key=lambda process: process["pid"]):
            name = "  " * depth + each["command"][:120]
            rows.append(
                [str(each["pid"]), name, each["state"], f"{each['cpu']:.2f} s", f"{each['memory'] / MIB:.1f} MiB"]
            )
            add(each["pid"], depth + 1)

    add(0, 0)
    return Table("Processes", ["Id", "Command", "State", "Processor", "Memory"], rows)
