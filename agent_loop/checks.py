"""Done is checked, not claimed: the host looks for itself when the model says it has finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent_loop.tools import ToolResult

    Call = Callable[[str, dict[str, Any]], Awaitable[ToolResult]]


class Look(Protocol):
    """A check: given a way to call tools, what it saw."""

    __name__: str

    async def __call__(self, call: Call, /) -> Check: ...


PHONE = "390x844"
MOST_DETAIL = 4_000
# Node is certain to be in the VM; curl is not. The weak sandbox gives each app a port of its own.
_HEALTH = (
    "node --input-type=module -e '"
    "const at = `http://127.0.0.1:${process.env.PORT || 5173}/api/health`; "
    "const answer = await fetch(at, { signal: AbortSignal.timeout(10000) }); "
    "console.log(answer.status, (await answer.text()).slice(0, 500)); "
    "process.exit(answer.ok ? 0 : 1)'"
)


@dataclass(frozen=True)
class Check:
    """One thing looked at. `detail` says what was seen, in words the model can act on."""

    name: str
    ok: bool
    detail: str


async def types(call: Call) -> Check:
    """`npm run check` passes."""
    result = await call("run_in_vm", {"command": "npm run check", "timeout_seconds": 180})
    return Check("types", result.ok, "npm run check passes" if result.ok else f"npm run check: {_output(result)}")


async def server(call: Call) -> Check:
    """The app's server answers /api/health."""
    result = await call("run_in_vm", {"command": _HEALTH, "timeout_seconds": 30})
    return Check("server", result.ok, "/api/health answers" if result.ok else f"/api/health: {_output(result)}")


async def page(call: Call) -> Check:
    """The page renders on a phone, says something, and logs no error."""
    seen = await _look(call)
    # A page opened while the dev server still takes in the last change complains of requests that were cut off.
    return seen if seen.ok else await _look(call)


async def _look(call: Call) -> Check:
    result = await call("preview_app", {"path": "/"})
    seen = result.data
    if not result.ok or seen.get("error"):
        return Check("page", ok=False, detail=f"the page at {PHONE}: {seen.get('error') or _output(result)}")
    wrong: list[str] = []
    if seen.get("status") != 200:  # noqa: PLR2004 - HTTP's own number
        wrong.append(f"it answered HTTP {seen.get('status')}")
    if not str(seen.get("text") or "").strip():
        wrong.append("it shows no text")
    if errors := seen.get("console_errors"):
        wrong.append("its console has errors:\n" + "\n".join(str(error) for error in errors))
    detail = f"the page at {PHONE}: {'; '.join(wrong)}" if wrong else f"the page renders at {PHONE}"
    return Check("page", not wrong, detail[:MOST_DETAIL])


ALL: tuple[Look, ...] = (types, server, page)


def report(failed: list[Check]) -> str:
    """What the model is told about the checks that failed."""
    found = "\n".join(f"- {check.name}: {check.detail}" for check in failed)
    return f"<host>\nYour app was checked, and it is not done:\n{found}\nMend this, then finish.\n</host>"


def _output(result: ToolResult) -> str:
    if "exit_code" not in result.data:
        return result.text[-MOST_DETAIL:]
    both = "\n".join(str(result.data.get(name) or "").strip() for name in ("stdout", "stderr")).strip()
    # The end is where a compiler counts its errors; the beginning is where it names the first.
    return f"exit {result.data['exit_code']}\n{both[:MOST_DETAIL]}"
