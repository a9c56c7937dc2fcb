"""posthog-js, unmodified, in a real Chromium on a page of another origin.

It drops what looks like a robot's, so the browser says it is a person's: its user agent, `webdriver` and brands.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from server.twins.core.serve import bind, serving
from tests.browser.driver import chromium
from tests.contract.test_posthog import Project, is_pro, project, rollout
from tests.prepared import CONTRACT, PREPARED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.local.home import Home
    from server.local.node import NodeRuntime
    from tests.browser.driver import Browser, Page, Seen

__all__ = ["project"]

HERE = Path(__file__).parent / "posthog"
PACKAGE = CONTRACT / "node_modules" / "posthog-js"
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
# A page that is being left is told the browser's own user agent again, so the script says it too.
AS_A_PERSON = f"""
Object.defineProperty(Navigator.prototype, 'userAgent', {{ get: () => '{PERSON}' }})
Object.defineProperty(Navigator.prototype, 'webdriver', {{ get: () => false }})
Object.defineProperty(Navigator.prototype, 'userAgentData', {{ get: () => undefined }})
"""


class App:
    """An app that uses posthog-js, open in a browser. The browser is spoken to beside the event loop."""

    def __init__(self, page: Page, origin: str, project: Project) -> None:
        self._page = page
        self._origin = origin
        self._project = project

    async def do(self, *chain: Any) -> Any:
        return await asyncio.to_thread(self._page.do, *chain)

    async def open(self, **options: Any) -> None:
        asked = {
            "key": self._project.service.key,
            "host": self._project.service.base_url,
            "app": self._project.app,
            "options": json.dumps(options),
        }
        await self.do(["goto", f"{self._origin}/?{urlencode(asked)}"])
        await self.do(["waitForFunction", "window.posthog?.__loaded"])

    async def load_by_script_tag(self) -> None:
        """The way of pages without a bundler: configuration and SDK from the host, in one file."""
        service = self._project.service
        await self.do(["goto", f"{self._origin}/blank"])
        await self.do(["addScriptTag", {"url": f"{service.base_url}/array/{service.key}/array.js"}])
        options = json.dumps({"api_host": service.base_url, "capture_pageview": False})
        await self.run(f"posthog.init('{service.key}', {options})")
        await self.run(f"posthog.group('app', '{self._project.app}')")

    async def run(self, script: str) -> Any:
        return await self.do(["evaluate", script])

    async def seen(self) -> Seen:
        return await asyncio.to_thread(self._page.seen)

    async def leave(self) -> None:
        """What is still waiting is then sent as a beacon."""
        await self.do(["goto", "about:blank"])


@pytest.fixture(scope="module")
async def browser(give_template: Callable[[Home], None]) -> AsyncIterator[Browser]:
    with ExitStack() as closing:
        yield await asyncio.to_thread(closing.enter_context, chromium(PREPARED))
        await asyncio.to_thread(closing.close)


@pytest.fixture(scope="module")
async def origin(node: NodeRuntime) -> AsyncIterator[str]:
    """Where the app is served from, and the package as npm gave it."""

    async def index(_request: Any) -> FileResponse:
        return FileResponse(HERE / "page.html")

    async def blank(_request: Any) -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>Blank</title><link rel=icon href='data:,'>")

    sdk = Mount("/sdk", StaticFiles(directory=PACKAGE / "dist"))
    page = Starlette(routes=[Route("/", index), Route("/blank", blank), sdk])
    async with serving(page, bind(), drain=1) as port:
        yield f"http://localhost:{port}"


@pytest.fixture
async def app(browser: Browser, origin: str, project: Project) -> App:
    page = await asyncio.to_thread(browser.open, userAgent=PERSON)
    app = App(page, origin, project)
    await app.do(["addInitScript", AS_A_PERSON])
    return app


@pytest.fixture
def with_scripts(project: Project) -> None:
    """The twin hands out the parts of the posthog-js the starter has installed; here, of the one under test."""
    if project.service.stack:
        installed = project.service.stack.home.template / "app" / "node_modules" / "posthog-js"
        installed.parent.mkdir(parents=True, exist_ok=True)
        if not installed.is_symlink():
            installed.symlink_to(PACKAGE)


async def test_a_page_captures_under_its_group_and_complains_of_nothing(app: App, project: Project) -> None:
    await app.open()
    await app.run("posthog.capture('tab_opened', { tab: 'home' }, { send_instantly: true })")
    columns = "properties.tab, properties.$lib, properties.$groups.app"
    assert await project.rows(columns, "event = 'tab_opened'") == [["home", "web", project.app]]
    seen = await app.seen()
    assert seen.complaints == []
    assert not [url for url in seen.urls if "/static/" in url], "a project that has nothing on loads nothing more"


async def test_what_a_person_clicks_is_captured_and_a_beacon_brings_the_rest(app: App, project: Project) -> None:
    await app.open()
    await app.do(["click", "#save"])
    await app.run("posthog.capture('waiting')")
    await app.leave()
    names = {row[0] for row in await project.rows("event", "event in ('$autocapture', 'waiting', '$pageleave')", 3)}
    assert names == {"$autocapture", "waiting", "$pageleave"}
    ((pageviews,),) = await project.rows("count()", "event = '$pageview'")
    assert pageviews == 1


@pytest.mark.parametrize("transport", ["XHR", "fetch", "sendBeacon"])
@pytest.mark.parametrize("compressed", [True, False])
async def test_every_transport_arrives(app: App, project: Project, transport: str, compressed: bool) -> None:
    await app.open(disable_compression=not compressed)
    await app.run(f"posthog.capture('sent', {{}}, {{ send_instantly: true, transport: '{transport}' }})")
    assert await project.rows("event", "event = 'sent'") == [["sent"]]
    # An XMLHttpRequest may not read that header of another origin, and the SDK tries.
    assert [each for each in (await app.seen()).complaints if "Retry-After" not in each] == []


async def test_signing_in_makes_one_person(app: App, project: Project) -> None:
    await app.open()
    await app.run("posthog.capture('before', {}, { send_instantly: true })")
    await app.run(f"posthog.identify('{project.app}-ann', {{ plan: 'pro' }}, {{ first: 'page' }})")
    await app.run(f"posthog.alias('{project.app}-annie')")
    await app.run("posthog.capture('after', {}, { send_instantly: true })")
    # Sent at once, and lost with the page if that is left at once too.
    await project.rows("event", "event in ('$identify', 'after')", 2)
    await app.leave()
    await project.rows("event", "event = '$create_alias'")
    before, after = await project.rows("person_id, person.properties.plan", "event in ('before', 'after')", 2)
    assert before == after
    assert after[1] == "pro"


async def test_flags_reach_the_page_with_their_payloads(app: App, project: Project) -> None:
    variants = [{"key": "wide", "rollout_percentage": 100}]
    payloads = {"wide": '{"columns": 3}'}
    layout = await project.flag("layout", rollout(100, multivariate={"variants": variants}, payloads=payloads))
    pro = await project.flag("pro", rollout(None, is_pro()))
    await app.open()
    loaded = "new Promise((done) => posthog.onFeatureFlags((flags) => done(flags)))"
    assert layout in await app.run(loaded)
    assert await app.run(f"posthog.getFeatureFlag('{layout}')") == "wide"
    assert await app.run(f"JSON.stringify(posthog.getFeatureFlagResult('{layout}').payload)") == '{"columns":3}'
    assert await app.run(f"posthog.isFeatureEnabled('{pro}')") is False
    await app.run("posthog.setPersonPropertiesForFlags({ plan: 'pro' })")
    await app.do(["waitForFunction", f"posthog.isFeatureEnabled('{pro}')"])
    await app.leave()
    ((answer,),) = await project.rows(
        "properties.$feature_flag_response", f"event = '$feature_flag_called' and properties.$feature_flag = '{layout}'"
    )
    assert answer == "wide"


@pytest.mark.usefixtures("with_scripts")
async def test_the_host_hands_out_the_sdk_itself(app: App, project: Project) -> None:
    await app.load_by_script_tag()
    await app.run("posthog.capture('by_tag', {}, { send_instantly: true })")
    assert await project.rows("event", "event = 'by_tag'") == [["by_tag"]]
    assert (await app.seen()).complaints == []


@pytest.mark.usefixtures("with_scripts")
async def test_exceptions_of_the_page_are_captured(app: App, project: Project) -> None:
    await app.open(capture_exceptions=True)
    await app.do(["waitForFunction", "posthog.exceptions && window.__PosthogExtensions__?.errorWrappingFunctions"])
    await app.run("setTimeout(() => { throw new Error('it went wrong') })")
    ((listed,),) = await project.rows("properties.$exception_list", "event = '$exception'")
    assert "it went wrong" in listed
    assert any("/static/" in url for url in (await app.seen()).urls), "that part is loaded from the host"


@pytest.mark.usefixtures("with_scripts")
async def test_a_session_is_recorded_once_the_project_wants_it(app: App, project: Project) -> None:
    if project.service.stack is None:
        pytest.skip("changes the project's settings")
    await project.call("PATCH", "", {"session_recording_opt_in": True})
    try:
        await app.open()
        await app.do(["waitForFunction", "posthog.sessionRecordingStarted()"])
        await app.do(["fill", "#name", "Ann"])
        session = await app.run("posthog.get_session_id()")
        assert (await app.seen()).complaints == []
        await app.leave()
        async with asyncio.timeout(10):
            while True:
                told = await project.service.stack.twin("posthog", "GET", "recordings")
                found = {each["session_id"]: each["snapshots"] for each in told["recordings"]}
                if found.get(session, 0) > 1:
                    break
                await asyncio.sleep(0)
    finally:
        await project.call("PATCH", "", {"session_recording_opt_in": False})
