"""Errors as OpenAI's API has them."""

import pytest

from noisewise.errors import AudioError, DecodingError
from noisewise.serving.api_error import ApiError, api_error, busy


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param"),
    [
        (ApiError("no", "x", status=404, param="model"), 404, "invalid_request_error", "x", "model"),
        (AudioError("`a` is no audio"), 400, "invalid_request_error", "invalid_value", "file"),
        (AudioError("`a` is short", "too_short"), 400, "invalid_request_error", "audio_too_short", "file"),
        (DecodingError("no such word"), 400, "invalid_request_error", "invalid_value", "keywords"),
        (MemoryError(), 503, "server_error", "no_memory", None),
        (TimeoutError(), 503, "server_error", "timeout", None),
        (KeyError("secret"), 500, "server_error", "internal_error", None),
    ],
)
def test_what_a_client_is_told(error: BaseException, status: int, kind: str, code: str, param: str | None) -> None:
    found = api_error(error)
    assert found.status == status
    assert found.values == {"message": str(found), "type": kind, "param": param, "code": code}
    assert "secret" not in found.values["message"]


def test_a_busy_server_says_when_to_come_again() -> None:
    assert busy("full", retry_after=7).headers == {"Retry-After": "7"}
    assert (busy("full").status, busy("full").kind) == (429, "rate_limit_exceeded")
    assert ApiError("no").headers == {}


def test_keys_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISEWISE_API_KEY", "sk-very-secret-key")
    assert ApiError("bad sk-very-secret-key").values["message"] == "bad ***"
