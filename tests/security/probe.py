"""What a probe is: an attempt to get out of a sandbox, and the one guard that stops it.

A probe counts only if it succeeds with its guard removed. So every attempt is made twice: with all guards up, where it
must fail, and with exactly its guard lifted, where it must succeed. Guards stand behind each other; where another would
stop the attempt too, it is `beneath`: lifted in both runs, so that the one named is the one that holds.

A guard is lifted by handing the twin other parts than it makes for itself. Nothing outside a test can do that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from server.twins.e2b.guards import Guards

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from server.twins.e2b.namespaces import Parts
    from tests.security.world import World

    Attempt = str | Callable[[World], Awaitable[str]]


PER_PROCESS = ("namespaces", "capabilities", "no_new_privileges", "filter", "limits")


@dataclass(frozen=True)
class Guard:
    """`lift` gives the guards without this one."""

    name: str
    lift: Callable[[Guards], Guards]


@dataclass(frozen=True)
class Probe:
    name: str
    """A sentence: what must not be possible."""
    guard: Guard
    attempt: Attempt
    """Shell for the attacker's sandbox, where `@name@` stands for a fact of the world; or a function of the world."""
    proof: str = ""
    """What its output holds only if it succeeded, facts put in; the word ESCAPED if this says nothing."""
    beneath: tuple[Guard, ...] = ()
    needs: Callable[[], bool] = bool
    """False on a machine where the attempt fails even without its guard, or the guard is not to be had."""

    def guards(self, *, lifted: bool) -> Guards:
        found = Guards()
        for guard in (*self.beneath, *([self.guard] if lifted else [])):
            found = guard.lift(found)
        return found


def as_usual(guards: Guards) -> bool:
    """Whether a sandbox made with these differs in nothing but what its processes are started with."""
    usual = Guards()
    kept = {name: getattr(usual.walls, name) for name in PER_PROCESS}
    return replace(guards, walls=replace(guards.walls, **kept)) == usual


def walls(**changed: object) -> Callable[[Guards], Guards]:
    return lambda guards: replace(guards, walls=replace(guards.walls, **changed))


def shares(**changed: float) -> Callable[[Guards], Guards]:
    return lambda guards: replace(guards, shares=replace(guards.shares, **changed))


def outside(*names: str) -> Callable[[Guards], Guards]:
    """A process that joins all of the sandbox's namespaces but these."""

    def lift(guards: Guards) -> Guards:
        kept = tuple(name for name in guards.walls.namespaces if name not in names)
        return replace(guards, walls=replace(guards.walls, namespaces=kept))

    return lift


def words(change: Callable[[list[str]], list[str]]) -> Callable[[Guards], Guards]:
    """Another command line for bubblewrap."""

    def lift(guards: Guards) -> Guards:
        def changed(parts: Parts, folder: Path, hostname: str) -> list[str]:
            return change(guards.arguments(parts, folder, hostname))

        return replace(guards, arguments=changed)

    return lift


def without(*run: str) -> Callable[[list[str]], list[str]]:
    """A command line less this run of words, each time it occurs."""

    def change(line: list[str]) -> list[str]:
        left: list[str] = []
        while line:
            if tuple(line[: len(run)]) == run:
                line = line[len(run) :]
            else:
                left.append(line[0])
                line = line[1:]
        return left

    return change


def limits(**changed: int) -> Callable[[Guards], Guards]:
    """Other resource limits; a name with a limit of 0 has none at all."""

    def lift(guards: Guards) -> Guards:
        found = {**guards.walls.limits, **changed}
        return walls(limits={name: value for name, value in found.items() if value})(guards)

    return lift


def both(*lifts: Callable[[Guards], Guards]) -> Callable[[Guards], Guards]:
    def lift(guards: Guards) -> Guards:
        for each in lifts:
            guards = each(guards)
        return guards

    return lift


def root() -> bool:
    return os.geteuid() == 0


def python(script: str) -> str:
    return f"exec python3 - <<'END'\n{script}\nEND"
