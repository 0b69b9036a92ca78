import json
import math
from pathlib import Path

import numpy as np
import pytest

from noisewise.decoding.hypothesis import Word
from noisewise.errors import DataError
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Timed, Waveform
from noisewise.labelling.transcription import (
    CachedRecogniser,
    Transcription,
    gives_confidences,
    transcribe,
    transcription,
)

WAVES = [np.full(100, level, np.float32) for level in (0.1, 0.2, 0.3)]


def text_of(waveform: Waveform) -> str:
    return f"level {waveform[0]:.1f}"


class Counting:
    """A recogniser that counts what it is given, and fails on the loudest."""

    def __init__(self, fails: bool = False) -> None:
        self.asked, self.fails = 0, fails

    def __call__(self, waveforms: list[Waveform]) -> list[str | Failure]:
        self.asked += len(waveforms)
        return [
            Failure("too loud") if self.fails and waveform[0] > 0.25 else text_of(waveform) for waveform in waveforms
        ]


def test_confidence_is_weighted_by_letters_and_the_log_probability_by_words() -> None:
    found = transcription("abc d", [Word("abc", 0, 1, 0.5), Word("d", 1, 2, 1.0)])
    assert found.confidence == pytest.approx((3 * 0.5 + 1.0) / 4)
    assert found.log_probability == pytest.approx(math.log(0.5) / 2)
    assert transcription("abc", []) == Transcription("abc")
    assert transcription("a", [Word("a", 0, 1, 0.0)]).log_probability == pytest.approx(math.log(1e-6))


def test_words_are_asked_for_where_a_recogniser_has_them() -> None:
    plain = NamedRecogniser("plain", Counting())
    assert not gives_confidences(plain) and transcribe(plain, WAVES[:1]) == [Transcription("level 0.1")]
    timed = NamedRecogniser(
        "timed",
        Counting(),
        times="words",
        with_times=lambda waveforms: [Timed("go", [Word("go", 0, 1, 0.5)]) for _ in waveforms],
    )
    assert gives_confidences(timed) and transcribe(timed, WAVES[:1]) == [Transcription("go", 0.5, math.log(0.5))]
    assert transcribe(timed, []) == []


def test_what_was_heard_is_not_asked_for_again(tmp_path: Path) -> None:
    first, file = Counting(fails=True), tmp_path / "transcripts.jsonl"
    found = CachedRecogniser(NamedRecogniser("one", first), file).transcribe(WAVES)
    assert found == [Transcription("level 0.1"), Transcription("level 0.2"), Failure("too loud")]
    again = Counting()
    recogniser = CachedRecogniser(NamedRecogniser("one", again), file)
    assert recogniser.transcribe(WAVES) == [*found[:2], Transcription("level 0.3")]
    assert again.asked == 1 and recogniser.answers == 2


def test_another_recogniser_and_other_weights_are_asked(tmp_path: Path) -> None:
    file = tmp_path / "transcripts.jsonl"
    CachedRecogniser(NamedRecogniser("one", Counting()), file).transcribe(WAVES)
    for named in (NamedRecogniser("two", Counting()), NamedRecogniser("one", Counting(), {"weights_sha256": "x"})):
        assert CachedRecogniser(named, file).answers == 0 and CachedRecogniser(named, file).transcribe(WAVES)
    assert len(file.read_text().splitlines()) == 9


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "transcripts.jsonl"
    CachedRecogniser(NamedRecogniser("one", Counting()), file).transcribe(WAVES[:2])
    file.write_bytes(file.read_bytes()[:-20])
    recogniser = CachedRecogniser(NamedRecogniser("one", Counting()), file)
    recogniser.transcribe(WAVES)
    assert recogniser.answers == 1
    assert [json.loads(line)["text"] for line in file.read_text().splitlines() if line.endswith("}")] == [
        "level 0.1",
        "level 0.2",
        "level 0.3",
    ]


def test_another_file_is_not_added_to(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my notes\n")
    with pytest.raises(DataError, match="must be a file of transcripts"):
        CachedRecogniser(NamedRecogniser("one", Counting()), file)
    assert file.read_text() == "my notes\n"
