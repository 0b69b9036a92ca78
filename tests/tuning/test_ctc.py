"""Weights found on a development set: the best of what was tried, the same from the same seed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from noisewise.audio.waveform import save
from noisewise.decoding.config import DecodingConfig
from noisewise.errors import EvaluationError
from noisewise.inference.recogniser import Recogniser
from noisewise.lm import kneser_ney
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.tuning import ctc as tuning
from noisewise.tuning.ctc import HeardTexts, Trial

TOKENIZER = CharacterTokenizer()


def misheard(said: str, heard: str, odds: float) -> torch.Tensor:
    """Frames in which the model leans towards another word than was said. (F, V)"""
    tokens = [TOKENIZER.encode(text) for text in (said, heard)]
    log_probs = torch.full((2 * len(tokens[0]), len(TOKENIZER)), -12.0)
    log_probs[1::2, TOKENIZER.blank] = 0.0
    for at, (right, wrong) in enumerate(zip(*tokens, strict=True)):
        log_probs[2 * at, right] = 0.0
        if wrong != right:
            log_probs[2 * at, wrong] = odds
    return log_probs.log_softmax(dim=-1)


@pytest.fixture
def config(tmp_path: Path) -> DecodingConfig:
    kneser_ney.train([["YES", "NO"]] * 30 + [["YES"], ["NO"]] * 5, order=2).save(tmp_path / "lm.arpa")
    return DecodingConfig(lm=str(tmp_path / "lm.arpa"), lm_weight=0.0, bonus=0.0, unknown_penalty=0.0)


@pytest.fixture
def heard() -> HeardTexts:
    said, spoken = ["YES NO", "YES NO", "YES"], ["YET NO", "YES GO", "YES"]
    return HeardTexts(TOKENIZER, said, [misheard(a, b, 1.0) for a, b in zip(said, spoken, strict=True)])


def test_a_weight_that_mends_the_errors_is_found(heard: HeardTexts, config: DecodingConfig) -> None:
    assert heard.decode(None) == ["YET NO", "YES GO", "YES"]
    assert heard.wer(None) == pytest.approx(2 / 5)
    shown: list[Trial] = []
    found, tried = tuning.tune(heard, config, trials=8, seed=1, progress=shown.append)
    assert (tried[0].lm_weight, tried[0].bonus) == (0.0, 0.0)
    assert tried[0].wer == pytest.approx(2 / 5)
    assert heard.wer(found) == min(trial.wer for trial in tried) == 0.0
    assert shown == tried
    assert found.lm == config.lm
    assert tuning.tune(heard, config, trials=8, seed=1)[1] == tried != tuning.tune(heard, config, trials=8, seed=2)[1]
    for trials in (0, -1):
        with pytest.raises(EvaluationError, match="`trials` must be at least 1"):
            tuning.tune(heard, config, trials=trials)


def test_hotwords_are_listened_for(heard: HeardTexts) -> None:
    assert heard.decode(DecodingConfig(), hotwords=["YES", "NO"]) == ["YES NO", "YES NO", "YES"]
    assert heard.decode(DecodingConfig()) == ["YET NO", "YES GO", "YES"]


def test_what_is_heard_is_clean_and_each_ratio(model_dir: Path, tmp_path: Path) -> None:
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
    found = tuning.hear(recogniser, speech, noise, [0.0, 20.0])
    assert found.references == ["YES"] * 3 + ["YES NO"] * 3
    clean = tuning.hear(recogniser, speech)
    assert torch.allclose(found.log_probs[0], clean.log_probs[0], atol=1e-4)
    distances = [(found.log_probs[at] - found.log_probs[3]).abs().mean() for at in (5, 4)]  # 20 dB, then 0 dB
    assert 0 < distances[0] < distances[1]
    tuning.must_not_be_test(speech)


@pytest.mark.parametrize("split", ["test", "test-clean", "eval"])
def test_a_test_set_is_refused(tmp_path: Path, split: str) -> None:
    (tmp_path / "speech").mkdir()
    save(tmp_path / "speech" / "a.wav", np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32))
    (tmp_path / "speech" / "manifest.tsv").write_text(f"path\ttext\tsplit\na.wav\tYES\t{split}\n")
    with pytest.raises(EvaluationError, match=f"named '{split}'"):
        tuning.must_not_be_test(str(tmp_path / "speech"))
