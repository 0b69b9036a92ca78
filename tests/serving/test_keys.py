"""Keys of the API."""

from pathlib import Path

import pytest

from noisewise.errors import ConfigError
from noisewise.serving.api_error import ApiError
from noisewise.serving.keys import ENVIRONMENT, SUBPROTOCOL, Keys, load


@pytest.mark.parametrize(
    ("headers", "subprotocols", "is_accepted"),
    [
        ({"authorization": "Bearer two"}, [], True),
        ({"authorization": "bearer  two "}, [], True),
        ({"authorization": "Basic two"}, [], False),
        ({"authorization": "Bearer tw"}, [], False),
        ({}, [], False),
        ({}, ["realtime", f"{SUBPROTOCOL}one"], True),
        ({}, [f"{SUBPROTOCOL}three"], False),
    ],
)
def test_a_request_must_have_one(headers: dict[str, str], subprotocols: list[str], is_accepted: bool) -> None:
    keys = Keys(["one", "two"])
    if is_accepted:
        keys.check(headers, subprotocols)
        return
    with pytest.raises(ApiError) as found:
        keys.check(headers, subprotocols)
    assert (found.value.status, found.value.code) == (401, "invalid_api_key")


def test_without_keys_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    load().check({})


def test_keys_of_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "three")
    file = tmp_path / "keys"
    file.write_text("one\ntwo\n", encoding="utf-8")
    keys = load(file)
    assert all(keys.accept(key) for key in ("one", "two", "three")) and not keys.accept("")
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="is empty"):
        load(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "missing")
