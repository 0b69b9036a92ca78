from pathlib import Path

import pytest

from noisewise.data.manifests.columns import ALIASES, listed, must_have, renamed, renaming, without_path
from noisewise.errors import DataError


@pytest.mark.parametrize(("ours", "theirs"), [(ours, name) for ours, names in ALIASES.items() for name in names])
def test_every_alias_is_taken_in_any_case(ours: str, theirs: str) -> None:
    for name in (theirs, theirs.upper(), f" {theirs} "):
        assert renamed({name: "x", "z": "y"}, renaming([name, "z"])) == {ours: "x", "z": "y"}


def test_the_name_itself_comes_before_aliases_and_the_user_before_both() -> None:
    assert renaming(["path", "file", "text", "sentence"]) == {}
    assert renaming(["file", "audio"]) == {"file": "path"}
    row = {"path": "no", "sound": "a.wav", "text": "T", "label": "x"}
    chosen = renaming(row, {"path": "sound", "speaker": "label"})
    assert renamed(row, chosen) == {"path": "a.wav", "text": "T", "speaker": "x"}


def test_an_offset_is_a_part_only_where_nemo_names_the_audio() -> None:
    assert renaming(["audio_filepath", "offset", "duration"])["offset"] == "start_seconds"
    assert "offset" not in renaming(["path", "offset"])


def test_a_chosen_column_must_be_there() -> None:
    with pytest.raises(DataError, match="'flie' for `path`, but does not; did you mean 'file'"):
        must_have({"path": "flie"}, ["file", "text"], Path("t.csv"))
    with pytest.raises(DataError, match="it has 'a', 'b'"):
        must_have({"path": "zzz"}, ["a", "b"], Path("t.csv"))


def test_a_hundred_thousand_columns_are_not_all_named() -> None:
    message = str(without_path(Path("t.csv"), [f"c{number}" for number in range(100_000)]))
    assert "and 99988 more" in message and len(message) < 500
    assert listed(["x" * 1000]).count("x") < 50
