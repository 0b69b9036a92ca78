"""Words that a recogniser invents, counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from noisewise.audio.waveform import save
from noisewise.errors import EvaluationError
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.evaluate import evaluate
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.speech_free import pieces_of
from noisewise.evaluation.systems.protocol import NamedRecogniser, Waveform

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of 2, 4 and 66 s, and one utterance."""
    path = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    for name, seconds in (("short", 2), ("other", 4), ("long", 66), ("speech", 1)):
        save(path / f"{name}.flac", (0.1 * random.standard_normal(seconds * RATE)).clip(-1, 1).astype(np.float32))
    lines = ["path\tlabel", "short.flac\tcar", "other.flac\tcafe", "long.flac\tcafe"]
    (path / "noise.tsv").write_text("\n".join(lines) + "\n")
    (path / "speech.tsv").write_text("path\ttext\nspeech.flac\tYES\n")
    return path


def transcribe(waveforms: list[Waveform]) -> list[str]:
    """The utterance is right; pieces of 22 s make three words, those of 4 s none, others one."""
    by_seconds = {1: "yes", 4: "...", 22: "oh, no, no"}
    return [by_seconds.get(len(waveform) // RATE, "uh") for waveform in waveforms]


def test_words_per_minute_over_recordings(folder: Path) -> None:
    config = GridConfig(manifest=str(folder / "speech.tsv"), speech_free=str(folder / "noise.tsv"))
    result = evaluate(transcribe, config, partial=folder / "partial")
    found = result.speech_free
    assert found is not None and result.clean.wer == 0
    assert (found.ids, found.types, found.words) == (["short", "other", "long"], ["car", "cafe", "cafe"], [1, 0, 9])
    assert found.words_per_minute.value == pytest.approx(10 / (72 / 60))
    assert found.with_words.value == pytest.approx(2 / 3)
    low, high = found.words_per_minute.ci or (0, 0)
    assert (low, high) == pytest.approx((0, 30), abs=1e-6), "all of `other`, or all of `short`"
    assert found.hypotheses == {
        "short": "uh", "other": "...", "long@0": "oh, no, no", "long@22": "oh, no, no", "long@44": "oh, no, no",
    }  # fmt: skip
    assert GridResult.parse(result.plain()) == result
    bare = result.without_transcripts().speech_free
    assert bare is not None and bare.hypotheses is None and bare.words == found.words

    def must_not_run(waveforms: list[Waveform]) -> list[str]:
        raise AssertionError("all conditions are kept")

    named = NamedRecogniser(result.system, must_not_run, result.system_details)
    assert evaluate(named, config, partial=folder / "partial") == result


def test_pieces_cover_a_long_recording_once(folder: Path) -> None:
    speech = pieces_of(str(folder / "noise.tsv"))
    long = [speech.waveform(one.id) for one in speech.utterances if one.speaker == "long"]
    assert [len(each) for each in long] == [22 * RATE] * 3
    whole = np.concatenate(long)
    assert len(whole) == 66 * RATE and not np.array_equal(long[0], long[1])


def test_recordings_that_cannot_be_used(folder: Path) -> None:
    save(folder / "zero.flac", np.zeros(RATE, np.float32))
    (folder / "zero.tsv").write_text("path\tlabel\nzero.flac\tcar\n")
    with pytest.raises(EvaluationError, match="must hold a recording that can be used"):
        pieces_of(str(folder / "zero.tsv"))
