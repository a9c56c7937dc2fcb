"""The contacts relay: one app's contacts, bounded, and a bad end that an app can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server import contacts
from server.contacts import TOKEN
from server.errors import LegError
from tests.server.driving import provisioned

if TYPE_CHECKING:
    from server.app import Core
    from tests.conftest import Stack

A_MINUTE = 20


async def test_one_app_adds_so_many_a_minute_and_holds_up_no_other(core: Core) -> None:
    one, other = await provisioned(core, ("mail",)), await provisioned(core, ("mail",))
    tokens = {key.slug: core.vault.get(key.slug)[TOKEN].reveal() for key in (one, other)}
    for number in range(A_MINUTE):
        assert await core.contacts.add(one.slug, tokens[one.slug], f"n{number}@b.example")
    with pytest.raises(LegError, match="takes no more requests for") as refused:
        await core.contacts.add(one.slug, tokens[one.slug], "late@b.example")
    assert "own database, and send it again" in refused.value.next_action
    assert await core.contacts.add(other.slug, tokens[other.slug], "first@b.example")


async def test_a_resend_that_hangs_ends_in_our_words(core: Core, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await provisioned(core, ("mail",))
    monkeypatch.setattr(contacts, "SECONDS", 0.5)
    await stack.fault("resend", method="POST", path="/contacts", hang=True)
    with pytest.raises(LegError, match="Resend did not answer in time") as hung:
        await core.contacts.add(key.slug, core.vault.get(key.slug)[TOKEN].reveal(), "a@b.example")
    assert (hung.value.code, hung.value.retryable) == ("timed_out", True)


async def test_a_key_that_only_sends_is_told_apart(core: Core, stack: Stack) -> None:
    """The operator's key is such a one: what the leg and the relay say names what is wrong with it."""
    from dataclasses import replace

    key = await provisioned(core, ("mail",))
    resend = core.contacts._resend  # pyright: ignore[reportPrivateUsage] - whose credential is replaced
    only_sends = core.vault.get(key.slug)["RESEND_API_KEY"]
    resend._dialect = replace(resend._dialect, credential=only_sends)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(LegError, match="must have full access"):
        await core.contacts.add(key.slug, core.vault.get(key.slug)[TOKEN].reveal(), "a@b.example")
    another = await provisioned(core, ("mail",))
    problem = core.sessions.by_slug(another.slug).leg("mail").error
    assert problem is not None
    assert "must have full access" in problem.next_action
    resend._dialect = replace(resend._dialect, credential=core.settings.resend_api_key or only_sends)  # pyright: ignore[reportPrivateUsage]
