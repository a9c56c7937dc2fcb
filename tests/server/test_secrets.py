"""A secret leaves by one door."""

import base64
import io
import logging
import pickle
import secrets
from collections.abc import Callable
from urllib.parse import quote

import pytest

from server.log import ScrubbedFormatter, redact
from server.secrets import Secret, scrub

VALUE = "npg_x7+/Qz9 kW"


def test_a_secret_prints_as_stars() -> None:
    secret = Secret(VALUE)
    assert f"{secret} {secret!r} {[secret]} {{'a': secret}}".count(VALUE) == 0
    assert secret.reveal() == VALUE


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(VALUE))


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "postgres://u:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_text_around_a_secret_is_scrubbed(before: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(f"{before}{VALUE}@host".encode()).decode()
    assert "***" in scrub(encoded, [Secret(VALUE)])


def test_plain_and_percent_encoded_forms_are_scrubbed() -> None:
    text = f"url={quote(VALUE, safe='')} raw={VALUE}"
    assert scrub(text, [Secret(VALUE)]) == "url=*** raw=***"


def test_every_random_secret_is_found_in_base64_at_every_offset() -> None:
    for _ in range(300):
        value = secrets.token_urlsafe(24)
        for pad in range(4):
            text = base64.b64encode(b"x" * pad + value.encode() + b"tail").decode()
            assert "***" in scrub(text, [Secret(value)]), (value, pad)


def test_ordinary_text_is_left_alone() -> None:
    text = "wrote 3 files, 12 tests passed, commit 4f2a"
    assert scrub(text, [Secret(VALUE)]) == redact(text) == text


@pytest.mark.parametrize(
    "token",
    [
        "mk0rk_" + "a" * 22,
        "mk0rc_" + "a" * 22,
        "mk0rj_" + "a" * 22,
        "napi_" + "a" * 64,
        "re_aaaaaaaa_" + "b" * 24,
        "ghs_1234_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0In0.c2lnbmF0dXJl",
        "github_pat_" + "a" * 40,
    ],
)
def test_whatever_has_a_credentials_shape_is_scrubbed_whole(token: str) -> None:
    assert redact(f"refused {token}, again") == "refused ***, again"


def test_a_traceback_in_the_log_is_scrubbed() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(ScrubbedFormatter(lambda: [Secret("canary-value-1")]))
    logger = logging.Logger("scratch")  # noqa: LOG001 - a logger of its own, apart from the process's
    logger.addHandler(handler)
    try:
        raise RuntimeError("canary-value-1 and postgresql://u:hunter2hunter2@h/db and Bearer abcdefgh12345")  # noqa: TRY301 - its traceback is the point
    except RuntimeError:
        logger.exception("it broke")
    said = out.getvalue()
    assert "it broke" in said
    assert "Traceback" in said
    for leak in ("canary-value-1", "hunter2", "abcdefgh12345"):
        assert leak not in said


def test_secrets_of_any_characters_compare() -> None:
    assert Secret("schlüssel") == Secret("schlüssel") != Secret("schluessel")
