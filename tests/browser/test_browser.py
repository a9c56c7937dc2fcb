"""The main job, as a person does it with a mouse: the page, the app it makes, and what stays.

One build is shared, and it is the page that makes it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from server.twins.e2b import tier
from tests.browser.conftest import BUILD_MS, IDEA, PHONE, Build, Cli

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.browser.driver import Browser, Page

    Tool = Callable[..., Awaitable[dict[str, Any]]]

pytestmark = [
    pytest.mark.skipif(tier.probe().name != "namespaces", reason="needs user namespaces"),
    pytest.mark.timeout(180),
]

BUTTON = "Log a run"
EXAMPLE = "A run tracker that actually saves my runs"


def rows(cli: Cli, slug: str) -> list[str]:
    query = "select distance_km || ' km in ' || duration_seconds || ' s, ' || note from runs"
    return cli("psql", slug, "-Atc", query).strip().splitlines()


def test_the_page_does_what_the_command_does(cli: Cli, browser: Browser, build: Build, shown: dict[str, Any]) -> None:
    page = build.page
    assert [light.split()[0] for light in build.lit] == ["Database", "Mail", "Analytics", "Repository", "Machine"]
    story = page.do(["locator", "#log"], ["innerText"])
    told = (
        *(
            "names written to /app/.env",
            "The app is up",
            "Looks at which services there are",
            "Writes 4 files in server",
        ),
        *(
            "Writes the migration and applies it to the database",
            "The page renders on a phone",
            "saved to the repository",
        ),
    )
    assert [said for said in told if said not in story] == []
    # As a person writes it down: no tool's name, no path of the machine's, no mark-up.
    assert [raw for raw in ("run_in_vm", "write_files", "/app/s", "`", "exit 2") if raw in story] == []
    assert page.do(["locator", "#log code"], ["first"], ["innerText"]) == "runs"
    assert page.do(["locator", "#preview"], ["getAttribute", "src"]).startswith(shown["preview_url"])
    app = ["frameLocator", "#preview"]
    page.do(app, ["getByRole", "button", {"name": BUTTON}], ["waitFor"])
    page.do(app, ["getByText", "Your first run goes here"], ["waitFor"])

    seen = page.seen()
    # An app that is being written may complain in its own frame; the page has no reason to.
    assert [said for said in seen.complaints if cli.url in said or "http" not in said] == []
    # And no screen asks for a table before it is there.
    assert [said for said in seen.complaints if "500" in said] == []
    assert [url for url in seen.urls if build.key in url] == []
    finished = browser.open(**PHONE)
    finished.do(["goto", shown["preview_url"]])
    finished.do(["getByText", "Your first run goes here"], ["waitFor"])
    assert finished.seen().complaints == []


def test_the_story_is_read_at_its_end(build: Build) -> None:
    assert build.page.do(["locator", "#log li:last-child"], ["innerText"]).startswith("Done")
    below = "(log => log.scrollHeight - log.scrollTop - log.clientHeight)(document.getElementById('log'))"
    assert build.page.do(["evaluate", below]) < 1


def test_a_finished_app_says_what_to_do_next(build: Build, shown: dict[str, Any]) -> None:
    page = build.page
    assert page.do(["locator", "#ask-title"], ["innerText"]) == "A run tracker that saves my runs"
    assert page.do(["locator", "#next-words"], ["innerText"]).startswith("Done in ")
    for name, url in (("Open the app", shown["preview_url"]), ("See the code", shown["repository_url"])):
        assert page.do(["getByRole", "link", {"name": name}], ["getAttribute", "href"]) == url
    door = page.do(["locator", "#door a"], ["getAttribute", "href"])
    assert door == shown["local_preview_url"]
    assert page.do(["locator", "#work"], ["isVisible"]) is False


def test_an_idea_without_a_script_is_told_plainly_with_those_there_are(cli: Cli, browser: Browser) -> None:
    page = browser.open()
    page.do(["goto", cli.url])
    page.do(["getByLabel", "Your idea"], ["fill", "a chess clock\nwith two buttons"])
    page.do(["getByRole", "button", {"name": "Build it"}], ["click"])
    page.do(["getByText", "Nothing was built."], ["waitFor"])
    page.do(["locator", "#suggested"], ["getByRole", "button", {"name": EXAMPLE}], ["waitFor"])
    assert page.do(["locator", "#next-words"], ["innerText"]) == (
        "No script for this idea: this is a rehearsal. Set ANTHROPIC_API_KEY for any idea. It can play:"
    )
    assert page.do(["locator", "#ask-title"], ["innerText"]) == "A chess clock"
    story = page.do(["locator", "#log"], ["innerText"])
    assert [said for said in ("repository", "Failed", "declined") if said in story] == []
    assert page.do(["locator", "#preview"], ["isVisible"]) is False


def test_a_service_that_is_missing_is_added_with_a_click(cli: Cli, browser: Browser) -> None:
    """The command begins without services; the page makes one of them."""
    begun = json.loads(cli.any_code("build", "a chess engine", "--lazy", "--json").strip().splitlines()[-1])
    page = browser.open()
    page.do(["goto", cli.url])
    kept = [{"slug": begun["slug"], "key": begun["session_key"], "idea": "a chess engine"}]
    page.do(["evaluate", f"localStorage.setItem('mk0r.sessions', {json.dumps(json.dumps(kept))})"])
    page.do(["reload"])
    page.do(["locator", "#sessions"], ["getByRole", "button"], ["click"])
    page.do(["getByRole", "button", {"name": "Add: Mail"}], ["click"])
    page.do(["locator", '#lights li[data-leg="mail"][data-state="on"]'], ["waitFor"])
    assert len(page.do(["getByRole", "button", {"name": "Add:"}], ["allInnerTexts"])) == 3
    session = cli.json("show", begun["slug"])
    assert {leg["name"] for leg in session["legs"] if leg["outcome"] == "made"} == {"mail", "vm"}
    assert cli("provision", begun["slug"], "--service", "git").count("git") == 1
    page.do(["locator", '#lights li[data-leg="git"][data-state="on"]'], ["waitFor"])
    cli("destroy", begun["slug"])


def test_an_example_is_a_click_away_and_can_be_stopped(cli: Cli, browser: Browser) -> None:
    page = browser.open()
    page.do(["goto", cli.url])
    page.do(["locator", "#ideas"], ["getByRole", "button", {"name": EXAMPLE}], ["click"])
    page.do(["getByText", "At work"], ["waitFor"])
    page.do(["locator", "#elapsed"], ["getByText", "0:01"], ["waitFor"])
    assert page.do(["getByRole", "button", {"name": "Build it"}], ["isDisabled"]) is True
    page.do(["getByRole", "button", {"name": "Stop"}], ["click"])
    page.do(["getByRole", "button", {"name": "Try again"}], ["waitFor"])
    assert page.do(["locator", "#log li:last-child"], ["innerText"]).startswith("Stopped. You stopped it.")
    assert page.do(["locator", "#log li[data-state=running]"], ["count"]) == 0
    assert page.do(["locator", "#work"], ["isVisible"]) is False


async def test_a_run_saved_by_hand_is_a_row_that_survives_everything(
    cli: Cli, browser: Browser, build: Build, shown: dict[str, Any]
) -> None:
    from e2b import AsyncSandbox

    page = browser.open(**PHONE)
    page.do(["goto", shown["preview_url"]])
    page.do(["getByRole", "button", {"name": BUTTON}], ["click"])
    for label, value in (("Distance", "7.4"), ("min", "39"), ("sec", "12"), ("Note (optional)", "along the canal")):
        page.do(["getByRole", "dialog"], ["getByLabel", label], ["fill", value])
    page.do(["getByRole", "button", {"name": "Save run"}], ["click"])
    run = [["locator", '.run-row[aria-busy="false"]'], ["filter", {"hasText": "along the canal"}]]

    def is_shown() -> None:
        page.do(*run, ["getByText", "7.4 km"], ["waitFor"])
        page.do(*run, ["getByText", "39:12 · 5:18 /km"], ["waitFor"])
        assert rows(cli, build.slug) == ["7.40 km in 2352 s, along the canal"]

    is_shown()
    page.do(["reload"])
    is_shown()

    env: dict[str, str] = cli.json("twins")["e2b"]["env"]
    key, url = env["E2B_API_KEY"], env["E2B_API_URL"]
    assert await AsyncSandbox.pause(shown["sandbox_id"], api_key=key, api_url=url, request_timeout=30)
    cli("resume", build.slug)
    page.do(["goto", shown["preview_url"]])
    is_shown()

    cli("down")
    cli("resume", build.slug)
    page.do(["goto", cli.json("show", build.slug)["preview_url"]])
    is_shown()


@pytest.fixture
async def mcp(cli: Cli, build: Build) -> AsyncIterator[Tool]:
    """One tool of the server, called with the session's key."""
    from mcp import Client

    async with Client(f"{cli.url}/mcp", read_timeout_seconds=30) as client:

        async def call(name: str, **arguments: Any) -> dict[str, Any]:
            told = await client.call_tool(name, {"session_key": build.key, **arguments})
            assert not told.is_error, told
            return told.structured_content or {}

        yield call


@pytest.fixture
def phones(browser: Browser, shown: dict[str, Any]) -> list[Page]:
    """The app, open by both addresses of its preview."""
    pages = [browser.open(**PHONE), browser.open(**PHONE)]
    for page, url in zip(pages, (shown["preview_url"], shown["local_preview_url"]), strict=True):
        page.do(["goto", url])
        page.do(["getByRole", "button", {"name": BUTTON}], ["waitFor"])
    return pages


async def test_a_written_file_shows_in_the_open_page_without_a_navigation(mcp: Tool, phones: list[Page]) -> None:
    before = [page.seen().navigations for page in phones]
    source = str((await mcp("read_file", path="src/App.tsx"))["content"])
    for words in ("Another run", BUTTON):
        file = {"path": "src/App.tsx", "content": source.replace(BUTTON, words)}
        await mcp("write_files", files=[file])
        for page in phones:
            page.do(["getByRole", "button", {"name": words, "exact": True}], ["waitFor"])
    assert [page.seen().navigations for page in phones] == before


async def test_a_file_emptied_and_then_written_is_not_shown_empty(mcp: Tool, phones: list[Page]) -> None:
    """As most programs write, and a slow machine makes visible."""
    for words, instead in ((BUTTON, "Another run"), ("Another run", BUTTON)):
        script = f"""
            import {{ readFileSync, writeFileSync }} from 'node:fs'
            const text = readFileSync('src/App.tsx', 'utf8')
            writeFileSync('src/App.tsx', '')
            setTimeout(() => writeFileSync('src/App.tsx', text.replaceAll('{words}', '{instead}')), 30)
        """
        await mcp("run_in_vm", command=f'node --input-type=module -e "{script}"')
        for page in phones:
            page.do(["getByRole", "button", {"name": instead, "exact": True}], ["waitFor"])


async def test_an_app_whose_machine_is_gone_is_shown_once_there_is_another(
    cli: Cli, browser: Browser, build: Build, shown: dict[str, Any]
) -> None:
    from e2b import AsyncSandbox

    env: dict[str, str] = cli.json("twins")["e2b"]["env"]
    assert await AsyncSandbox.kill(shown["sandbox_id"], api_key=env["E2B_API_KEY"], api_url=env["E2B_API_URL"])
    page = browser.open()
    page.do(["goto", cli.url])
    kept = [{"slug": build.slug, "key": build.key, "idea": IDEA}]
    page.do(["evaluate", f"localStorage.setItem('mk0r.sessions', {json.dumps(json.dumps(kept))})"])
    page.do(["reload"])
    page.do(["locator", "#sessions"], ["getByRole", "button"], ["click"])
    page.do(["locator", "#log"], ["getByText", "another is made from the repository"], ["waitFor"])
    page.do(["frameLocator", "#preview"], ["getByRole", "button", {"name": BUTTON}], ["waitFor"])
    replaced = cli.json("show", build.slug)["preview_url"]
    assert replaced != shown["preview_url"]
    assert page.do(["locator", "#preview"], ["getAttribute", "src"]).startswith(replaced)
    assert [url for url in page.seen().navigations if url.startswith(shown["preview_url"])] == []


def test_a_reopened_app_is_loaded_once_however_often_it_was_changed(build: Build, shown: dict[str, Any]) -> None:
    """The last of these tests: it changes the app."""
    page = build.page
    page.do(["goto", page.do(["evaluate", "location.href"])])
    page.do(["locator", "#sessions"], ["getByRole", "button"], ["click"])
    page.do(["getByLabel", "Your idea"], ["fill", "add a weekly goal"])
    page.do(["getByRole", "button", {"name": "Change it"}], ["click"])
    page.do(["getByText", "You asked: Add a weekly goal"], ["waitFor"])
    page.do(["locator", "#log li", {"hasText": "Done"}], ["nth", 1], ["waitFor", {"timeout": BUILD_MS}])
    page.do(["frameLocator", "#preview"], ["getByText", "Set a weekly goal"], ["waitFor"])

    page.do(["reload"])
    before = len(page.seen().navigations)
    page.do(["locator", "#sessions"], ["getByRole", "button"], ["click"])
    page.do(["frameLocator", "#preview"], ["getByText", "Set a weekly goal"], ["waitFor"])
    page.do(["locator", "#log li", {"hasText": "Done"}], ["nth", 1], ["waitFor"])
    loaded = [url for url in page.seen().navigations[before:] if url.startswith(shown["preview_url"])]
    assert len(loaded) == 1
