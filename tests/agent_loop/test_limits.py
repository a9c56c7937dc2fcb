"""Budgets and prices, worked out by hand."""

from __future__ import annotations

import pytest

from agent_loop.limits import MILLION, Budget, Limits, Usage, price_of


def test_a_turn_costs_what_the_price_list_says() -> None:
    budget = Budget(Limits(), "claude-sonnet-5-5")
    budget.charge(Usage(input=MILLION, output=MILLION, cache_read=MILLION, cache_write=MILLION), ms=1500)
    assert budget.dollars == pytest.approx(2 + 10 + 0.10 + 2.50)
    assert (budget.turns, budget.usage.total, budget.ms) == (1, 4 * MILLION, 1500)


def test_a_long_prompt_pays_the_long_prompts_price() -> None:
    short, long = price_of("claude-haiku-5-5", 100_000), price_of("claude-haiku-5-5", 100_001)
    assert short is not None
    assert long is not None
    assert (short.input, long.input) == (0.10, 0.50)


def test_a_model_without_a_price_is_bound_by_tokens_alone() -> None:
    budget = Budget(Limits(dollars=0.01, tokens=1000), "qwen3-coder")
    budget.charge(Usage(input=999), 0)
    assert budget.dollars is None
    assert budget.spent() == ""
    budget.charge(Usage(output=1), 0)
    assert budget.spent() == "The run used its 1,000 tokens."


def test_the_rehearsal_costs_nothing() -> None:
    budget = Budget(Limits(), "rehearsal")
    budget.charge(Usage(input=MILLION, output=MILLION), 0)
    assert budget.dollars == 0
    assert budget.spent() == ""


def test_no_budget_in_dollars_is_no_limit_in_dollars() -> None:
    budget = Budget(Limits(dollars=None), "claude-opus-5-5")
    budget.charge(Usage(input=MILLION, output=MILLION), 0)
    assert budget.spent() == ""


@pytest.mark.parametrize(
    ("limits", "used", "room"),
    [
        (Limits(), Usage(), 32_000),
        (Limits(tokens=1000), Usage(input=400), 600),
        (Limits(dollars=2.1), Usage(input=MILLION), 10_000),  # ten cents left, at $10 a million
        (Limits(dollars=0.5), Usage(input=MILLION), 1),
    ],
)
def test_a_turn_may_write_what_the_budget_still_pays_for(limits: Limits, used: Usage, room: int) -> None:
    budget = Budget(limits, "claude-sonnet-5-5")
    budget.charge(used, 0)
    assert budget.room() == pytest.approx(room, abs=1)
