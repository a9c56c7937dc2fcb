"""docs/twins.md says what the twins serve: no more, and nothing less."""

from __future__ import annotations

import re

import pytest

from server.twins.core.coverage import BESIDE
from tests.contract.coverage import PAGE, VENDORS, described, page, partial, route, served

everywhere = pytest.mark.parametrize("vendor", [*VENDORS])


def _rows(part: str) -> dict[str, str]:
    """Each row's route, and what is said of it."""
    return dict(re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (.*) \|$", part, re.MULTILINE))


def _told(vendor: str) -> tuple[dict[str, str], set[str]]:
    """What the page says: each described route's state, and the routes beside them."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    endpoints, _, rest = sections[vendor].partition("Served beside these:")
    beside, _, absent = rest.partition("<details>")
    states = {described(vendor, name): said.split(":")[0] for name, said in _rows(endpoints).items()}
    states |= {described(vendor, name): "absent" for name in absent.splitlines() if re.match("[A-Z]+ /", name)}
    return states, {route(vendor, name) for name in (*_rows(beside), *_rows(sections["every twin"]))}


def test_the_page_is_what_the_code_generates() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.contract.coverage`"


@everywhere
def test_every_route_a_twin_serves_is_on_the_page(vendor: str) -> None:
    states, beside = _told(vendor)
    assert served(vendor) <= {name for name, state in states.items() if state != "absent"} | beside


@everywhere
def test_every_route_the_page_claims_is_served(vendor: str) -> None:
    states, beside = _told(vendor)
    assert {*states.values()} <= {"implemented", "partial", "absent"}
    assert {name for name, state in states.items() if state != "absent"} | beside <= served(vendor)


@everywhere
def test_nothing_is_told_twice(vendor: str) -> None:
    states, beside = _told(vendor)
    assert not {*states} & beside
    assert {route(vendor, name) for name in BESIDE} < beside


@everywhere
def test_what_is_missing_is_said_of_a_route_there_is(vendor: str) -> None:
    states, _ = _told(vendor)
    assert [name for name in partial(vendor) if states.get(described(vendor, name)) != "partial"] == []
