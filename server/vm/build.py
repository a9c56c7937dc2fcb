"""Builds E2B's template of our image with E2B's own SDK, from the definition that the local template is made from."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.errors import LegError
from server.vm import image
from server.vm.errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from e2b import LogEntry, TemplateClass

    from server.vm.sandbox import Sandboxes

SOURCES = Path(__file__).parent
SECONDS = 1800.0
CPUS, MEMORY_MB = 2, 2048
START = shlex.join(image.START_COMMAND)


def definition(sources: Path = SOURCES) -> TemplateClass:
    """Our image as the SDK's builder has it. `sources` holds the parts' folders."""
    from e2b import AsyncTemplate

    ignored = [f"**/{pattern}" for pattern in image.NOT_SOURCES]
    begun = AsyncTemplate(file_context_path=sources, file_ignore_patterns=ignored)
    builder = begun.from_node_image(image.NODE).set_user(image.USER)
    for part in (image.STARTER, image.BROWSER):
        builder = builder.copy(part.source, part.place, user=image.USER).set_workdir(part.place)
        for command in part.commands:
            builder = builder.run_cmd(shlex.join(command), user=image.USER)
    builder = builder.set_workdir(image.WORKDIR).run_cmd(shlex.join(image.WARM), user=image.USER)
    return builder.set_start_cmd(START, image.READY)


async def build(
    sandboxes: Sandboxes, name: str, tell: Callable[[str, str], None], *, sources: Path = SOURCES
) -> dict[str, str]:
    """Build it under `name` and wait until sandboxes can begin as it; the template's and the build's id.

    `tell` hears each line of the build, with its level, as it comes. Raises `LegError`.
    """
    from e2b import AsyncTemplate

    def hear(entry: LogEntry) -> None:
        tell(entry.level, entry.message)

    with _translated(name):
        async with asyncio.timeout(SECONDS):
            built = await AsyncTemplate.build(
                definition(sources),
                name,
                cpu_count=CPUS,
                memory_mb=MEMORY_MB,
                on_build_logs=hear,
                **_control(sandboxes),
            )
    return {"name": name, "template_id": built.template_id, "build_id": built.build_id}


def _control(sandboxes: Sandboxes) -> dict[str, Any]:
    """How E2B is reached: the SDK bounds each request itself, and an upload by the hour."""
    return {key: value for key, value in sandboxes.api().items() if key in {"api_key", "api_url"}}


@contextmanager
def _translated(name: str) -> Generator[None]:
    from e2b.exceptions import BuildException

    with translated():
        try:
            yield
        except BuildException:
            raise LegError(
                f"E2B could not build {name}.",
                code="build_failed",
                next_action="The lines above say in which step, and why. What was built before stays in use.",
            ) from None
        except TimeoutError:
            raise LegError(
                f"The build of {name} took longer than {SECONDS / 60:.0f} minutes.",
                code="timed_out",
                next_action="See in E2B's dashboard how far it is; building again begins where its cache ends.",
                retryable=True,
            ) from None
