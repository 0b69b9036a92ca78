"""Posteriors of a development set: clean, then each ratio; test sets are refused, failures are counted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from noisewise.audio.waveform import save
from noisewise.decoding.config import DecodingConfig
from noisewise.errors import EvaluationError
from noisewise.inference.recogniser import Recogniser
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.tuning.posteriors import DevSetPosteriors, compute_posteriors, posteriors_of, refuse_test_set
from tests.tuning.test_ctc import misheard

TOKENIZER = CharacterTokenizer()


@pytest.fixture
def posteriors() -> DevSetPosteriors:
    said, spoken = ["YES NO", "YES NO", "YES"], ["YET NO", "YES GO", "YES"]
    return DevSetPosteriors(TOKENIZER, said, [misheard(a, b, 1.0) for a, b in zip(said, spoken, strict=True)])


def test_hotwords_are_favoured(posteriors: DevSetPosteriors) -> None:
    assert posteriors.decode(DecodingConfig(), hotwords=["YES", "NO"]) == ["YES NO", "YES NO", "YES"]
    assert posteriors.decode(DecodingConfig()) == ["YET NO", "YES GO", "YES"]


def test_recordings_are_clean_and_at_each_ratio(model_dir: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for folder, lengths in (("speech", (8000, 16000)), ("noise", (32000,))):
        (tmp_path / folder).mkdir()
        lines = ["path\ttext\tlabel\tsplit"]
        for number, length in enumerate(lengths):
            save(tmp_path / folder / f"{number}.wav", random.normal(0, 0.1, length).astype(np.float32))
            lines.append(f"{number}.wav\tYes {'no ' * number}\tcar\tdev")
        (tmp_path / folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    recogniser = Recogniser.load(model_dir)
    speech, noise = str(tmp_path / "speech"), str(tmp_path / "noise")
    found = compute_posteriors(recogniser, speech, noise, [0.0, 20.0])
    assert found.references == ["YES"] * 3 + ["YES NO"] * 3
    clean = compute_posteriors(recogniser, speech)
    assert torch.allclose(found.log_probs[0], clean.log_probs[0], atol=1e-4)
    distances = [(found.log_probs[at] - found.log_probs[3]).abs().mean() for at in (5, 4)]  # 20 dB, then 0 dB
    assert 0 < distances[0] < distances[1]
    refuse_test_set(speech)


@pytest.mark.parametrize("split", ["test", "test-clean", "eval"])
def test_a_test_set_is_refused(tmp_path: Path, split: str) -> None:
    (tmp_path / "speech").mkdir()
    save(tmp_path / "speech" / "a.wav", np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32))
    (tmp_path / "speech" / "manifest.tsv").write_text(f"path\ttext\tsplit\na.wav\tYES\t{split}\n")
    with pytest.raises(EvaluationError, match=f"named '{split}'"):
        refuse_test_set(str(tmp_path / "speech"))


def test_recordings_that_cannot_be_decoded_are_counted(model_dir: Path) -> None:
    recogniser = Recogniser.load(model_dir)
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    broken = np.full(16_000, np.nan, np.float32)
    found = posteriors_of(recogniser, [("YES", lambda: noise), ("NO", lambda: broken), ("GO", lambda: noise)])
    assert found.references == ["YES", "GO"] and len(found.log_probs) == 2
    assert len(found.left_out) == 1 and "NaN" in found.left_out[0]
    with pytest.raises(EvaluationError, match=r"add transcripts.*1 recordings were left out"):
        posteriors_of(recogniser, [("NO", lambda: broken)])
