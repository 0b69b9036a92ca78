"""Specifications and their options."""

from dataclasses import fields
from pathlib import Path

import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems.specification import KINDS, WhisperOptions, kind_of, parsed


def test_options_are_read_by_the_types_of_their_kind() -> None:
    found = parsed("whisper:tiny.en?beam=1&language=en&fallback=true&quantisation=int8&threads=2&prompt=call%20me")
    assert (found.kind, found.target) == ("whisper", "tiny.en")
    assert found.options == WhisperOptions(
        beam=1, language="en", fallback=True, quantisation="int8", threads=2, prompt="call me"
    )
    assert parsed("hf:a/b@main?window=10").options.window == 10.0
    assert parsed("onnx:nemo-parakeet-ctc-0.6b").options.quantisation == ""


def test_by_default_nothing_is_sampled_or_seen_from_before() -> None:
    assert not WhisperOptions().fallback and not WhisperOptions().context


@pytest.mark.parametrize(
    "specification",
    ["box", "some/folder?beam=1", "command:echo ?beam=1 {}", "python:a:b?c=1", "openai:http://h/?a=1#m&language=en"],
)
def test_others_have_none(specification: str) -> None:
    found = parsed(specification)
    assert found.options is None and specification.endswith(found.target)


def test_a_kind_that_is_not_known_is_a_folder() -> None:
    assert [kind_of(each) for each in ("whisperx:a", "c:folder", "whisper")] == ["model"] * 3


@pytest.mark.parametrize("kind", ["whisper", "hf", "onnx"])
def test_an_unknown_option_lists_the_known_ones(kind: str) -> None:
    with pytest.raises(NoisewiseError, match=r"quantisation.* but it has 'quantization'") as error:
        parsed(f"{kind}:x?quantization=int8")
    assert all(each.name in str(error.value) for each in fields(KINDS[kind]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beam=five", "beam"),
        ("beam=0", "beam"),
        ("beam=1&beam=2", "names one twice"),
        ("beam", "must have options as in"),
        ("threads=-1", "threads"),
    ],
)
def test_values_are_checked(text: str, message: str) -> None:
    with pytest.raises(NoisewiseError, match=message):
        parsed(f"whisper:x?{text}")


def test_a_folder_may_have_a_question_mark_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "what?").mkdir()
    assert parsed(f"hf:{tmp_path}/what?").target == f"{tmp_path}/what?"
    assert parsed(f"hf:{tmp_path}?beam=2").target == str(tmp_path)
