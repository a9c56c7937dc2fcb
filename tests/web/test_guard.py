"""What a foreign page, a rebound name and an oversized request get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.conftest import TOKEN, browser

if TYPE_CHECKING:
    from starlette.applications import Starlette

JSON = {"content-type": "application/json"}


async def test_the_server_answers_only_under_its_own_names(starting: Starlette) -> None:
    expected = {
        "127.0.0.1:3000": 200,
        "localhost": 200,
        "[::1]:3000": 200,
        "mk0r.example": 200,
        "evil.example": 421,
        "127.0.0.1.evil.example": 421,
        "5173-x.localhost:3000": 421,
        "": 421,
    }
    async with browser(starting) as client:
        seen = {host: (await client.get("/api/stack", headers={"host": host})).status_code for host in expected}
    assert seen == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://5173-x.localhost:3000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_site_may_not_send_a_request_that_changes_something(
    starting: Starlette, headers: dict[str, str]
) -> None:
    async with browser(starting) as client:
        for method, path in (("POST", "/api/sessions"), ("DELETE", "/api/sessions/x"), ("POST", "/mcp")):
            answer = await client.request(method, path, headers={**JSON, **headers}, content="{}")
            assert answer.status_code == 403, (method, path)
            assert answer.json()["error"]["code"] == "cross_site"


async def test_our_own_page_and_a_program_without_origin_are_let_through(starting: Starlette) -> None:
    ours = {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"}
    async with browser(starting) as client:
        for headers in (ours, {}):
            answer = await client.post("/api/sessions", json={"idea": "x"}, headers=headers)
            assert answer.json()["error"]["code"] == "starting"


async def test_a_form_cannot_reach_the_api(starting: Starlette) -> None:
    async with browser(starting) as client:
        answer = await client.post("/api/sessions", data={"idea": "x"})
    assert answer.status_code == 415


async def test_a_body_past_the_limit_is_refused_with_a_sentence(starting: Starlette) -> None:
    async with browser(starting) as client:
        answer = await client.post("/api/sessions", json={"idea": "x" * 300_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_every_answer_carries_the_security_headers(starting: Starlette) -> None:
    async with browser(starting) as client:
        answers = [await client.get(path) for path in ("/", "/page/page.js", "/api/stack", "/nowhere")]
        answers.append(await client.get("/", headers={"host": "evil.example"}))
    for answer in answers:
        assert "default-src 'none'" in answer.headers["content-security-policy"], answer.url
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_the_page_needs_nothing_that_its_own_policy_forbids(starting: Starlette) -> None:
    async with browser(starting) as client:
        page = (await client.get("/")).text
        files = ("page.css", "page.js", "stream.js", "sessions.js", "icon.svg")
        for file in files:
            assert (await client.get(f"/page/{file}")).status_code == 200
    assert "style=" not in page
    assert "<script>" not in page
    assert "http://" not in page
    assert "https://" not in page


async def test_before_it_is_up_the_server_says_how_far_it_is(starting: Starlette) -> None:
    async with browser(starting) as client:
        assert (await client.get("/api/stack")).json() == {"ready": False, "steps": [], "error": None}
        answer = await client.post("/api/sessions", json={"idea": "a list"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await client.post("/mcp", json={})).status_code == 503


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"idea": ""}, "empty"),
        ({"idea": "  \n"}, "empty"),
        ({}, "empty"),
        ({"idea": 7}, "empty"),
        ({"idea": "x" * 100_000}, "100,000 characters"),
        ({"idea": "x", "services": ["fax"]}, "fax"),
        ({"idea": "x", "services": "mail"}, "not a list"),
        ({"idea": "x", "budget_usd": -1}, "budget_usd"),
        ({"idea": "x", "model": ""}, "model"),
        (["idea"], "not a JSON object"),
    ],
)
async def test_bad_input_is_told_in_a_sentence_before_anything_is_made(
    starting: Starlette, body: object, said: str
) -> None:
    async with browser(starting) as client:
        answer = await client.post("/api/sessions", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


async def test_json_nested_without_end_is_told_the_same(starting: Starlette) -> None:
    async with browser(starting) as client:
        answer = await client.post("/api/sessions", content="[" * 100_000, headers=JSON)
    assert answer.status_code == 400
    assert "not a JSON object" in answer.json()["error"]["message"]


async def test_the_operators_routes_want_the_operators_token(starting: Starlette) -> None:
    async with browser(starting) as client:
        for method, path in (("GET", "/api/sessions"), ("GET", "/api/twins"), ("POST", "/api/down")):
            for token in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}"):
                headers = {**JSON, "authorization": token}
                assert (await client.request(method, path, headers=headers)).status_code == 401
        answer = await client.post("/api/down", json={}, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 202
