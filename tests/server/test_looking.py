"""Look before you make: each leg by its vendor's own means, and never "absent" from a listing with holes."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# pyright: reportArgumentType=false, reportPrivateUsage=false
# (small stand-ins and executors map lambdas whose types are not spelled out)

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from server.errors import LegError
from server.legs import Intent
from server.legs.github import GitHubLeg
from server.legs.neon import NeonLeg
from server.legs.resend import ResendLeg
from server.legs.retry import Retries
from server.legs.vendor import Dialect, Vendor
from server.secrets import Secret
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APP = "mk0r-abcdefghijkl"
AGAIN = Intent(APP, attempt=3, look=True)
BASE = "https://vendor.test"
URI = "postgresql://me:secret@ep.test/neondb?sslmode=require"


async def at_once(_seconds: float) -> None:
    return


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with httpx.AsyncClient() as http:
        retries = Retries(Random(1), sleep=at_once)
        yield Vendor(Dialect("Vendor", BASE, Secret("key"), nothing_done=(423, 429, 503)), http, retries=retries)


@pytest.fixture
def settings() -> Settings:
    return Settings().model_copy(update={"resend_from": "app@mk0r.test", "github_owner": "mk0r"})


def project(name: str, number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"p-{number}", "name": name, "created_at": f"2026-11-23T10:00:0{number}Z", **more}


OPERATION = ("running", "failed", "finished")  # Neon tries again by itself what failed


def neon_project(number: int) -> None:
    """The routes by which one project is adopted."""
    base = f"{BASE}/projects/p-{number}"
    polls = [httpx.Response(200, json={"operations": [{"id": "op", "status": status}]}) for status in OPERATION]
    respx.get(f"{base}/operations").mock(side_effect=polls)
    respx.get(f"{base}/branches").respond(json={"branches": [{"id": "br-1", "default": True}]})
    respx.get(f"{base}/branches/br-1/databases").respond(json={"databases": [{"name": "neondb", "owner_name": "me"}]})
    respx.get(f"{base}/connection_uri").respond(json={"uri": URI})


class TestNeon:
    @respx.mock
    async def test_only_the_exact_name_counts_on_whatever_page(self, vendor: Vendor, settings: Settings) -> None:
        pages: list[dict[str, Any]] = [
            {"projects": [project(f"{APP}x", 1), project(f"a-{APP}", 2)], "pagination": {"cursor": "1"}},
            {"projects": [project(APP, 3)], "pagination": {"cursor": "2"}},
            {"projects": [], "pagination": {}},
        ]
        listing = respx.get(f"{BASE}/projects").mock(side_effect=[httpx.Response(200, json=page) for page in pages])
        neon_project(3)
        found = await NeonLeg(vendor, settings).find(AGAIN)
        assert found is not None
        assert found.reference == {"project_id": "p-3"}
        assert found.env["DATABASE_URL"].reveal() == URI
        assert listing.call_count == 3

    @respx.mock
    async def test_of_two_everybody_adopts_the_older(self, vendor: Vendor, settings: Settings) -> None:
        respx.get(f"{BASE}/projects").respond(json={"projects": [project(APP, 2), project(APP, 1)]})
        neon_project(1)
        found = await NeonLeg(vendor, settings).find(AGAIN)
        assert found is not None
        assert found.reference == {"project_id": "p-1"}

    @respx.mock
    @pytest.mark.parametrize(
        "page",
        [
            {"projects": [], "unavailable_project_ids": ["p-9"]},
            {"projects": [project("other", 1)], "unavailable_project_ids": ["p-9"], "pagination": {"cursor": "x"}},
            {"projects": [project("other", 1)], "pagination": {"cursor": "the same for ever"}},
        ],
    )
    async def test_a_listing_with_holes_is_not_absence(
        self, vendor: Vendor, settings: Settings, page: dict[str, Any]
    ) -> None:
        respx.get(f"{BASE}/projects").respond(json=page)
        leg = NeonLeg(vendor, settings)
        for look in (leg.find(AGAIN), leg.remove(APP, {}), _all(leg.listed())):
            with pytest.raises(LegError) as caught:
                await look
            assert (caught.value.code, caught.value.retryable) == ("incomplete_listing", True)

    @respx.mock
    @pytest.mark.parametrize("failure", [httpx.Response(500), httpx.ReadTimeout("x"), httpx.Response(200, json={})])
    async def test_a_failing_listing_is_not_absence(self, vendor: Vendor, settings: Settings, failure: Any) -> None:
        respx.get(f"{BASE}/projects").mock(side_effect=[failure] * 4)
        with pytest.raises(LegError):
            await NeonLeg(vendor, settings).find(AGAIN)

    @respx.mock
    async def test_removal_by_name_removes_every_one_and_nothing_else(self, vendor: Vendor, settings: Settings) -> None:
        listed = [project(APP, 1), project(f"{APP}x", 2), project(APP, 3)]
        respx.get(f"{BASE}/projects").respond(json={"projects": listed})
        gone = respx.delete(url__regex=rf"{BASE}/projects/p-[13]$").respond(json={})
        await NeonLeg(vendor, settings).remove(APP, {})
        assert gone.call_count == 2

    @respx.mock
    async def test_removal_by_id_looks_nothing_up(self, vendor: Vendor, settings: Settings) -> None:
        gone = respx.delete(f"{BASE}/projects/p-7").respond(404, json={})
        await NeonLeg(vendor, settings).remove(APP, {"project_id": "p-7"})
        assert gone.called


def resend_list(path: str, *pages: list[dict[str, Any]]) -> None:
    answers = [{"data": page, "has_more": number < len(pages) - 1} for number, page in enumerate(pages)]
    respx.get(f"{BASE}{path}").mock(side_effect=[httpx.Response(200, json=answer) for answer in answers])


def item(name: str, number: int) -> dict[str, Any]:
    return {"id": f"i-{number}", "name": name, "created_at": f"2026-11-23 10:00:0{number}.123456+00"}


class TestResend:
    @respx.mock
    async def test_the_segment_is_kept_and_earlier_keys_are_replaced(self, vendor: Vendor, settings: Settings) -> None:
        resend_list("/segments", [item("General", 1)], [item(f"{APP} Users", 2)])
        keys = [item("mine", 3), item(APP, 4), item(f"{APP}-1", 5), item(f"{APP}-3", 6), item(f"{APP}-4", 7)]
        resend_list("/api-keys", keys[:2], keys[2:])
        gone = respx.delete(url__regex=rf"{BASE}/api-keys/i-[45]$").respond(json={})
        made = respx.post(f"{BASE}/api-keys").respond(201, json={"id": "k", "token": "re_x"})
        found = await ResendLeg(vendor, settings).find(AGAIN)
        assert found is not None
        assert found.reference == {"segment_id": "i-2", "key_id": "k"}
        assert gone.call_count == 2, "its own and a later attempt's keys stay: they may be in use"
        assert json.loads(made.calls[0].request.content)["name"] == f"{APP}-3"

    @respx.mock
    async def test_without_a_segment_there_is_nothing(self, vendor: Vendor, settings: Settings) -> None:
        resend_list("/segments", [item(f"{APP} Users 2", 1), item(APP, 2)])
        assert await ResendLeg(vendor, settings).find(AGAIN) is None

    @respx.mock
    async def test_more_that_never_comes_is_not_absence(self, vendor: Vendor, settings: Settings) -> None:
        respx.get(f"{BASE}/segments").respond(json={"data": [], "has_more": True})
        with pytest.raises(LegError) as caught:
            await ResendLeg(vendor, settings).find(AGAIN)
        assert caught.value.code == "incomplete_listing"

    @respx.mock
    async def test_without_a_sender_no_key_is_made(self, vendor: Vendor) -> None:
        made = respx.post(f"{BASE}/api-keys").respond(201, json={"id": "k", "token": "re_x"})
        respx.post(f"{BASE}/segments").respond(201, json={"id": "s"})
        with pytest.raises(LegError) as caught:
            await ResendLeg(vendor, Settings()).make(Intent(APP, attempt=1))
        assert caught.value.code == "no_sender"
        assert not made.called


def repository(**changes: Any) -> dict[str, Any]:
    return {
        "name": APP,
        "full_name": f"mk0r/{APP}",
        "html_url": f"https://github.test/mk0r/{APP}",
        "private": True,
        "description": f"Built with mk0r · {APP}",
        "created_at": "2026-11-23T10:00:00Z",
        **changes,
    }


NOT_OURS = [
    {"private": False},
    {"description": "my own project"},
    {"description": None},
    {"description": "Built with mk0r · mk0r-otherotherot"},
    {"full_name": f"somebody/{APP}"},
]


class TestGitHub:
    @pytest.fixture(autouse=True)
    def _user(self) -> None:
        respx.get(f"{BASE}/user").respond(json={"login": "mk0r"})

    @respx.mock
    async def test_a_taken_name_that_is_ours_is_adopted(self, vendor: Vendor, settings: Settings) -> None:
        respx.get(f"{BASE}/user").respond(json={"login": "MK0R"})
        respx.post(f"{BASE}/user/repos").respond(422, json={"message": "name already exists on this account"})
        respx.get(f"{BASE}/repos/mk0r/{APP}").respond(json=repository())
        made = await GitHubLeg(vendor, settings).make(Intent(APP, attempt=1))
        assert made.reference["full_name"] == f"mk0r/{APP}"

    @respx.mock
    @pytest.mark.parametrize("changes", NOT_OURS)
    async def test_what_is_not_provably_ours_is_neither_adopted_nor_removed(
        self, vendor: Vendor, settings: Settings, changes: dict[str, Any]
    ) -> None:
        respx.get(f"{BASE}/user").respond(json={"login": "mk0r"})
        respx.post(f"{BASE}/user/repos").respond(422, json={})
        respx.get(f"{BASE}/repos/mk0r/{APP}").respond(json=repository(**changes))
        respx.get(f"{BASE}/user/repos").mock(
            side_effect=[httpx.Response(200, json=[repository(**changes)]), httpx.Response(200, json=[])]
        )
        gone = respx.delete(f"{BASE}/repos/mk0r/{APP}").respond(204)
        leg = GitHubLeg(vendor, settings)
        for adopt in (leg.make(Intent(APP, attempt=1)), leg.find(AGAIN)):
            with pytest.raises(LegError) as caught:
                await adopt
            assert caught.value.code == "name_taken"
        await leg.remove(APP, {})
        assert not gone.called
        assert await _all(leg.listed()) == []

    @respx.mock
    async def test_absent_is_what_answers_404_and_nothing_else(self, vendor: Vendor, settings: Settings) -> None:
        route = respx.get(f"{BASE}/repos/mk0r/{APP}").respond(404, json={})
        assert await GitHubLeg(vendor, settings).find(AGAIN) is None
        route.respond(301, headers={"Location": f"{BASE}/repositories/1"})
        with pytest.raises(LegError):
            await GitHubLeg(vendor, settings).find(AGAIN)


async def _all(listing: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in listing]
