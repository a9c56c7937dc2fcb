"""Which languages a commit is written in, told by its files' names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from server.twins.github.git.objects import tree

if TYPE_CHECKING:
    from server.twins.github.git.repository import BareRepository

_BY_ENDING = {
    "astro": "Astro",
    "c": "C",
    "cc": "C++",
    "cpp": "C++",
    "cs": "C#",
    "css": "CSS",
    "cts": "TypeScript",
    "dart": "Dart",
    "ex": "Elixir",
    "exs": "Elixir",
    "go": "Go",
    "h": "C",
    "hpp": "C++",
    "html": "HTML",
    "java": "Java",
    "js": "JavaScript",
    "jsx": "JavaScript",
    "kt": "Kotlin",
    "less": "Less",
    "lua": "Lua",
    "mjs": "JavaScript",
    "mts": "TypeScript",
    "php": "PHP",
    "plpgsql": "PLpgSQL",
    "py": "Python",
    "rb": "Ruby",
    "rs": "Rust",
    "scala": "Scala",
    "scss": "SCSS",
    "sh": "Shell",
    "svelte": "Svelte",
    "swift": "Swift",
    "ts": "TypeScript",
    "tsx": "TypeScript",
    "vue": "Vue",
}
_BY_NAME = {"Dockerfile": "Dockerfile", "Makefile": "Makefile"}
_VENDORED = ("node_modules/", "vendor/", "dist/")


async def languages(repository: BareRepository, commit: str) -> dict[str, int]:
    """Bytes by language, the largest first; data and prose count for nothing."""
    counted = Counter[str]()
    for entry in await tree(repository, commit, recursive=True) or []:
        language = _language(entry.path)
        if entry.kind == "blob" and entry.size and language and not _is_vendored(entry.path):
            counted[language] += entry.size
    return dict(counted.most_common())


def _language(path: str) -> str | None:
    name = path.rpartition("/")[2]
    return _BY_NAME.get(name) or _BY_ENDING.get(name.rpartition(".")[2].lower())


def _is_vendored(path: str) -> bool:
    return any(f"/{folder}" in f"/{path}" for folder in _VENDORED)
