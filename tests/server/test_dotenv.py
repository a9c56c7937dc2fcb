"""Four readers, one value: what `.env` holds is read back exactly, or refused when it is written."""

import json
import random
import string
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from server.dotenv import render
from server.errors import LegError
from server.local.node import find_node
from server.secrets import Secret

AWKWARD = [
    "plain",
    "",
    " leading and trailing ",
    "with#hash",
    "# begins with hash",
    'double"quotes"',
    "a=b=c",
    "postgresql://u:p%40ss@h:5432/db?sslmode=require&channel_binding=require",
    "back`tick`",
    "per%cent",
    "!bang",
    "{braces} [brackets] (parens)",
    "semi;colon && true || false",
    "<mail@example.com>",
    "*?~",
    "ünïcödé ✓",
]
REFUSED = ["it's", "$HOME", "${HOME}", "$(touch x)", "back\\slash", "new\nline", "carriage\rreturn", "nul\0", "\x1b[0m"]


def _read_by_node(path: Path) -> str:
    argv = [str(find_node().node), f"--env-file={path}", "-p", "JSON.stringify(process.env.VALUE)"]
    return json.loads(subprocess.run(argv, capture_output=True, check=True, text=True, env={}).stdout)


def _read_by_bash(path: Path) -> str:
    argv = ["bash", "-c", 'set -a; source "$1"; printf %s "$VALUE"', "bash", str(path)]
    return subprocess.run(argv, capture_output=True, check=True, text=True, env={}).stdout


def _read_by_python(path: Path) -> str | None:
    return dotenv_values(stream=StringIO(path.read_text()))["VALUE"]


@pytest.mark.parametrize("value", AWKWARD)
def test_every_reader_gets_the_value_back(value: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(render({"VALUE": Secret(value)}))
    assert [_read_by_node(path), _read_by_bash(path), _read_by_python(path)] == [value] * 3


@pytest.mark.parametrize("value", REFUSED)
def test_a_value_no_quoting_makes_safe_is_refused(value: str) -> None:
    with pytest.raises(LegError) as caught:
        render({"VALUE": Secret(value)})
    assert value not in str(caught.value)


def test_random_values_are_read_alike_or_refused(tmp_path: Path) -> None:
    chance = random.Random(20)
    path = tmp_path / ".env"
    read = 0
    for _ in range(60):
        value = "".join(chance.choices(string.printable + "éß✓", k=chance.randint(1, 24)))
        try:
            path.write_text(render({"VALUE": Secret(value)}))
        except LegError:
            continue
        read += 1
        assert [_read_by_bash(path), _read_by_python(path)] == [value] * 2
    assert read > 5
