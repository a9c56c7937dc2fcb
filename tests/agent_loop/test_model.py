"""What goes wrong with a model, in our own words with what to do next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.agent_loop.conftest import Stage
else:
    Stage = Any

DONE = '[[step]]\nsay = "All done."\n'


def refusal(kind: str, message: str = "vendor text sk-ant-LEAK") -> str:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}})


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, refusal("authentication_error"), "The model's credential was refused. Check ANTHROPIC_API_KEY"),
        (402, refusal("billing_error"), "The Anthropic account has no credit left. Add credit"),
        (
            400,
            refusal("invalid_request_error", "Your credit balance is too low to access the API."),
            "The Anthropic account has no credit left. Add credit",
        ),
        (403, refusal("permission_error"), "The credential may not use the model rehearsal."),
        (404, refusal("not_found_error"), "There is no model called rehearsal. Choose another with --model"),
        (413, refusal("request_too_large"), "The conversation is too large for the model."),
        (429, refusal("rate_limit_error"), "The Anthropic account is at its rate limit."),
        (500, refusal("api_error"), "The model's service failed."),
        (529, refusal("overloaded_error"), "The model is overloaded. Resume the run in a minute."),
        (400, refusal("invalid_request_error"), "The model's service refused the request (HTTP 400)."),
        (502, "<html>bad gateway</html>", "The model's service failed."),
    ],
)
async def test_a_refusal_is_told_in_our_words(stage: Stage, status: int, body: str, sentence: str) -> None:
    stage.script(DONE)
    stage.fault(status=status, body=body)
    result = await stage.run()
    assert result.outcome == "failed"
    assert result.reason.startswith(sentence)
    assert "LEAK" not in json.dumps(stage.events)


async def test_a_wrong_key_is_told_by_name(stage: Stage) -> None:
    stage.script(DONE)
    result = await stage.run(model=stage.model(api_key="sk-ant-wrong"))
    assert result.reason == "The model's credential was refused. Check ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN)."


async def test_an_auth_token_opens_the_model_as_well(stage: Stage) -> None:
    stage.script(DONE)
    result = await stage.run(model=stage.model(api_key=None, auth_token="sk-ant-api03-local"))
    assert result.outcome == "done"


async def test_an_unreachable_model_is_a_network_problem(stage: Stage) -> None:
    result = await stage.run(model=stage.model(base_url="http://127.0.0.1:9"))
    assert result.reason == "The model could not be reached. Check the network and ANTHROPIC_BASE_URL."


async def test_an_overloaded_model_is_asked_again_by_the_sdk(stage: Stage) -> None:
    stage.script(DONE)
    stage.fault(status=529, body=refusal("overloaded_error"), headers={"retry-after-ms": "1"}, times=1)
    result = await stage.run(model=stage.model(max_retries=2))
    assert result.outcome == "done"
    assert len(stage.told("turn.started")) == 1


async def test_a_lost_answer_is_asked_for_once_more(stage: Stage) -> None:
    stage.script(DONE)
    stage.fault(lose_answer=True, times=1)
    result = await stage.run()
    assert result.outcome == "done"
    assert [turn["turn"] for turn in stage.told("turn.started")] == [1, 1]
    assert result.turns == 1


BEGUN = (
    "event: message_start\n"
    'data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"rehearsal",'
    '"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
)


@pytest.mark.parametrize(
    ("stream", "sentence"),
    [
        (BEGUN, "The model's answer broke off. Run it again."),
        (f"{BEGUN}event: error\ndata: {refusal('overloaded_error')}\n\n", "The model is overloaded."),
        ("", "The model's answer broke off. Run it again."),
    ],
)
async def test_a_stream_that_breaks_off_is_asked_for_once_more_and_then_told(
    stage: Stage, stream: str, sentence: str
) -> None:
    stage.script(DONE)
    stage.fault(status=200, body=stream, headers={"content-type": "text/event-stream"}, times=2)
    result = await stage.run()
    assert result.reason.startswith(sentence)
    assert len(stage.told("turn.started")) == 2
