"""The files that sclite reads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.audio.waveform import save
from noisewise.decoding.hypothesis import Segment, Word
from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.evaluate import evaluate
from noisewise.evaluation.sclite import write_ctm, write_trn
from noisewise.evaluation.systems.protocol import CacheUse, Failure, NamedRecogniser, Timed, Waveform
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise

UTTERANCES = [Utterance("a/u 1", "an-n", "It's (one)!", 1.0), Utterance("a/u2", "bob", "TWO", 1.0)]
CELLS = [TextCell(CLEAN, ["its one", ""], {}, 0, ""), TextCell(in_noise("car", 5), ["", "two, two"], {}, 0, "")]


def test_a_file_for_each_condition_under_the_rules_of_the_score(tmp_path: Path) -> None:
    result = summarise(UTTERANCES, CELLS, GridConfig(manifest="", bootstrap_samples=2))
    paths = write_trn(result, tmp_path / "trn")
    assert [path.name for path in paths] == ["reference.trn", "clean.trn", "car@5.trn"]
    assert [path.read_text() for path in paths] == [
        "IT'S ONE (an_n-a/u_1)\nTWO (bob-a/u2)\n",
        "ITS ONE (an_n-a/u_1)\n(bob-a/u2)\n",
        "(an_n-a/u_1)\nTWO TWO (bob-a/u2)\n",
    ]
    with pytest.raises(EvaluationError, match="keep transcripts"):
        write_trn(result.without_transcripts(), tmp_path)


def test_words_with_their_times_in_the_order_of_ids_and_time(tmp_path: Path) -> None:
    words = [Word("One!", 0.5, 0.9, 0.25), Word("its", 0.1, 0.4, 1.0), Word("(-)", 0.9, 1.0, 1.0)]
    cells = [
        TextCell(CLEAN, ["", ""], {}, 0, "", words=[[], words]),
        TextCell(in_noise("car", 5), ["", ""], {}, 0, "", words=[[], []]),
    ]
    paths = write_ctm([*reversed(UTTERANCES)], cells, "english", tmp_path / "ctm")
    assert [path.name for path in paths] == ["reference.stm", "clean.ctm", "car@5.ctm"]
    assert [path.read_text() for path in paths] == [
        "an_n-a/u_1 A an_n 0.000 1.000 IT'S ONE\nbob-a/u2 A bob 0.000 1.000 TWO\n",
        "an_n-a/u_1 A 0.100 0.300 ITS 1.000\nan_n-a/u_1 A 0.500 0.400 ONE 0.250\n",
        "",
    ]


def system(word_times: bool = True, **values: Any) -> NamedRecogniser:
    """Says the length of what it hears, and when; fails on what is loud."""

    def timed(waveforms: list[Waveform]) -> list[Timed | Failure]:
        found: list[Timed | Failure] = []
        for each in waveforms:
            text, seconds = f"WORD {'B' * (len(each) // 1600)}", len(each) / 16_000
            halves = ((0.0, seconds / 2), (seconds / 2, seconds))
            words = [Word(word, *half, 0.5) for word, half in zip(text.split(), halves, strict=True)]
            given = Timed(text, words) if word_times else Timed(text, segments=[Segment(text, 0.0, seconds)])
            found.append(Failure("too loud") if abs(each).max() > 0.5 else given)
        return found

    return NamedRecogniser("test", lambda waveforms: ["WORD"] * len(waveforms), with_times=timed, **values)


@pytest.fixture
def speech(tmp_path: Path) -> str:
    rows = ["path\ttext\tspeaker"]
    for name, samples, loud in (("a", 3200, 0.1), ("b", 1600, 0.9), ("c", 4800, 0.2)):
        save(tmp_path / f"{name}.wav", (loud * np.sin(np.arange(samples))).astype(np.float32))
        rows.append(f"{name}.wav\tWORD\ts")
    (tmp_path / "manifest.tsv").write_text("\n".join(rows) + "\n")
    return str(tmp_path)


def test_a_grid_gives_words_with_times_and_goes_on_with_them(speech: str, tmp_path: Path) -> None:
    config, given = GridConfig(manifest=speech, bootstrap_samples=2), system(times="words")
    heard: list[list[Word]] = []
    for _ in range(2):  # the second run finds all in the partial file
        result = evaluate(
            given, config, partial=tmp_path / "partial", timed=lambda _, cells: heard.extend(cells[0].words)
        )
        given = replace(given, with_times=lambda waveforms: [Failure("asked again")] * len(waveforms))
    assert heard[:3] == heard[3:] and [len(words) for words in heard[:3]] == [2, 0, 2]
    word = heard[0][1]
    assert (word.text, word.start, word.end, word.confidence) == ("BB", pytest.approx(0.1), pytest.approx(0.2), 0.5)
    assert result.per_item.hypotheses == {"clean": ["WORD BB", "", "WORD BBB"]}


def test_a_recogniser_without_times_of_words_is_refused_before_it_begins(speech: str) -> None:
    config = GridConfig(manifest=speech, bootstrap_samples=2)
    use = CacheUse("", "", 0, 0, 0)
    for wrong, message in (
        (system(times="segments"), "`test` gives those of segments alone"),
        (NamedRecogniser("test", lambda waveforms: [""] * len(waveforms)), "`test` gives none"),
        (system(times="words", cache_use=lambda: use), "must come without --cache"),
        (system(word_times=False, times="words"), "gives none for a .'WORD BB'"),
    ):
        with pytest.raises(EvaluationError, match=message):
            evaluate(wrong, config, timed=lambda utterances, cells: None)
