"""Session key → slug → record."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from server import store
from server.errors import BadInput, UnknownSession
from server.secrets import Secret
from server.sessions import Leg, SessionKey, Sessions
from server.settings import LEGS, Settings, chosen_services

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def vault_and_sessions(tmp_path: Path) -> tuple[store.Vault, Sessions, Path]:
    file = tmp_path / "mk0r.sqlite"
    engine = store.open_engine(f"sqlite:///{file}")
    store.METADATA.create_all(engine)
    vault = store.Vault(engine, Secret(Fernet.generate_key().decode()))
    return vault, Sessions(engine, vault), file


def test_the_slug_is_twelve_public_characters_of_one_key(
    vault_and_sessions: tuple[store.Vault, Sessions, Path],
) -> None:
    _, sessions, _ = vault_and_sessions
    key = sessions.mint()
    assert re.fullmatch(r"[a-z2-7]{12}", key.slug)
    assert key.slug == SessionKey(key.reveal()).slug != sessions.mint().slug


def test_the_same_key_opens_the_same_session_and_no_other_does(
    vault_and_sessions: tuple[store.Vault, Sessions, Path],
) -> None:
    _, sessions, _ = vault_and_sessions
    key = sessions.mint()
    first = sessions.open(key, idea="a run tracker")
    assert sessions.open(key, idea="another").idea == first.idea == "a run tracker"
    assert sessions.authenticate(key.reveal()).slug == key.slug
    for wrong in (sessions.mint().reveal(), key.reveal() + "x", "", "mk0r-" + key.slug, key.slug):
        with pytest.raises(UnknownSession):
            sessions.authenticate(wrong)


def test_a_key_that_is_not_one_makes_nothing(vault_and_sessions: tuple[store.Vault, Sessions, Path]) -> None:
    _, sessions, _ = vault_and_sessions
    for wrong in ("short", "mk0rk_tooshort", "mk0rk_" + "!" * 22):
        with pytest.raises(BadInput):
            sessions.open(SessionKey(wrong))
    assert sessions.all() == []


def test_no_file_holds_a_key_or_a_secret_in_the_clear(
    vault_and_sessions: tuple[store.Vault, Sessions, Path],
) -> None:
    vault, sessions, file = vault_and_sessions
    key = sessions.mint()
    sessions.open(key)
    vault.put(key.slug, "database", {"DATABASE_URL": Secret("canary-in-the-vault")})
    on_disk = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert key.slug.encode() in on_disk
    assert key.reveal().encode() not in on_disk
    assert b"canary-in-the-vault" not in on_disk
    assert vault.get(key.slug)["DATABASE_URL"].reveal() == "canary-in-the-vault"
    assert sessions.key_of(key.slug) == key


def test_an_intent_without_an_outcome_is_remembered(
    vault_and_sessions: tuple[store.Vault, Sessions, Path],
) -> None:
    _, sessions, _ = vault_and_sessions
    key = sessions.mint()
    sessions.open(key)
    assert sessions.note_intent(key.slug, "git") is False
    assert sessions.note_intent(key.slug, "git") is True
    sessions.save_outcome(key.slug, Leg(name="git", vendor="github", outcome="made", env_names=["GITHUB_REPO"]))
    assert sessions.by_slug(key.slug).env_names == ["GITHUB_REPO"]


def test_callers_who_race_for_a_round_get_the_same_number(
    vault_and_sessions: tuple[store.Vault, Sessions, Path],
) -> None:
    _, sessions, _ = vault_and_sessions
    key = sessions.mint()
    sessions.open(key)
    assert sessions.next_generation(key.slug, 0) == sessions.next_generation(key.slug, 0) == 1


async def test_events_are_numbered_without_gaps_and_wake_whoever_waits(
    vault_and_sessions: tuple[store.Vault, Sessions, Path],
) -> None:
    import asyncio

    _, _, file = vault_and_sessions
    events = store.Events(store.open_engine(f"sqlite:///{file}"))
    waiting = asyncio.create_task(events.wait("slug", 0, 10))
    await asyncio.sleep(0)
    events.append("slug", "one", {})
    assert [event.type for event in await waiting] == ["one"]
    events.append("slug", "two", {"n": 2})
    assert [(e.seq, e.type) for e in events.since("slug", 0)] == [(1, "one"), (2, "two")]


@pytest.mark.parametrize(
    ("asked", "legs"),
    [
        (None, LEGS),
        (["database"], ("database", "vm")),
        (["neon", " Mail "], ("database", "mail", "vm")),
        (["none"], ("vm",)),
    ],
)
def test_services_go_by_their_own_or_their_vendors_name(asked: list[str] | None, legs: tuple[str, ...]) -> None:
    assert chosen_services(asked) == legs


def test_an_unknown_service_is_named_with_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"redis.*Choose from database, mail, analytics, git"):
        chosen_services(["redis"])


def test_each_leg_chooses_vendor_or_twin_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().twins() == {"neon", "resend", "posthog", "github", "e2b", "anthropic"}
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-x")
    settings = Settings()
    assert settings.twins() == {"neon", "resend", "posthog", "github", "e2b"}
    local = settings.with_local({"neon_base_url": "http://localhost:1", "model": "rehearsal"})
    assert (local.neon_base_url, local.model) == ("http://localhost:1", "claude-sonnet-5-5")


def test_a_live_vm_with_local_services_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2B_API_KEY", "e2b_x")
    with pytest.raises(BadInput, match="cannot reach the local neon, posthog, resend"):
        Settings().check()
