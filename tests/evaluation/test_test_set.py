"""Which recordings of a manifest are a test set, and why the others are not."""

from pathlib import Path

import numpy as np
import pytest

from noisewise.audio.waveform import save
from noisewise.errors import EvaluationError
from noisewise.evaluation.test_set import Speech


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four recordings: the second has no text, the third is silent."""
    lines = ["path\ttext\tspeaker"]
    for index, (text, level) in enumerate((("A", 0.1), ("", 0.1), ("C", 0.0), ("D", 0.1))):
        wave = level * np.sin(np.arange(8000 + 1600 * index))
        save(tmp_path / f"u{index}.wav", wave.astype(np.float32))
        lines.append(f"u{index}.wav\t{text}\t{'ann' if index == 0 else ''}")
    (tmp_path / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_utterances_and_what_is_skipped(corpus: Path) -> None:
    speech = Speech.read(str(corpus))
    assert [(one.id, one.speaker, one.text) for one in speech.utterances] == [("u0", "ann", "A"), ("u3", "u3", "D")]
    assert [one.seconds for one in speech.utterances] == [0.5, 0.8]
    assert {one.id for one in speech.skipped} == {"u1", "u2"}
    assert all(str(corpus) not in one.reason for one in speech.skipped)
    assert len(speech.waveform("u3")) == 12_800


def test_a_limit_is_taken_before_anything_is_skipped(corpus: Path) -> None:
    speech = Speech.read(str(corpus), limit=2)
    assert [one.id for one in speech.utterances] == ["u0"] and [one.id for one in speech.skipped] == ["u2"]
    with pytest.raises(EvaluationError, match="`limit` must be at least 1"):
        Speech.read(str(corpus), limit=0)


def test_references_and_groups_can_be_others(corpus: Path) -> None:
    speech = Speech.read(str(corpus), limit=1, text_of=lambda cut: "label", group_of=lambda cut: "source")
    assert [(one.text, one.speaker) for one in speech.utterances] == [("label", "source")]
