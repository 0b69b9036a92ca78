"""What a tuning keeps: posteriors and trials, and only for the same question."""

from pathlib import Path

import torch

from noisewise.decoding.config import DecodingConfig
from noisewise.lm import kneser_ney
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.tuning.cache import TuningCache
from noisewise.tuning.ctc import WeightTrial, tune_ctc
from noisewise.tuning.posteriors import DevSetPosteriors

TOKENIZER = CharacterTokenizer()


def texts() -> DevSetPosteriors:
    generator = torch.Generator().manual_seed(0)
    log_probs = [torch.randn(frames, len(TOKENIZER), generator=generator).log_softmax(-1) for frames in (9, 4, 6)]
    return DevSetPosteriors(TOKENIZER, ["YES", "NO", "O'CLOCK"], log_probs, frame_seconds=0.02, left_out=["NaN"])


def refuse() -> DevSetPosteriors:
    raise AssertionError("must not be computed again")


def test_posteriors_are_computed_once(tmp_path: Path) -> None:
    told = {"weights": "a", "snr": [0.0, 10.0]}
    first = TuningCache(tmp_path / "kept").posteriors(told, TOKENIZER, texts)
    again = TuningCache(tmp_path / "kept").posteriors(told, TOKENIZER, refuse)
    assert again.references == first.references == ["YES", "NO", "O'CLOCK"]
    assert all(torch.equal(a, b) for a, b in zip(again.log_probs, texts().log_probs, strict=True))
    assert (again.frame_seconds, again.left_out) == (0.02, ["NaN"])
    short = DevSetPosteriors(TOKENIZER, ["A"], [torch.zeros(1, len(TOKENIZER))])
    other = TuningCache(tmp_path / "kept").posteriors({**told, "weights": "b"}, TOKENIZER, lambda: short)
    assert other.references == ["A"]
    assert TuningCache().posteriors(told, TOKENIZER, texts).references == first.references


def test_an_interrupted_tuning_goes_on(tmp_path: Path) -> None:
    kneser_ney.train([["YES", "NO"]] * 9, order=2).save(tmp_path / "lm.arpa")
    config = DecodingConfig(lm=str(tmp_path / "lm.arpa"))
    told = {"config": "a"}
    kept = TuningCache(tmp_path / "kept").trials(told)
    whole = tune_ctc(texts(), config, trials=6, progress=kept.add)
    assert kept.path is not None
    lines = kept.path.read_text().splitlines()
    assert len(lines) == 6
    kept.path.write_text("\n".join(lines[:3]) + "\n" + lines[3][:9])  # killed while it wrote
    tried: list[WeightTrial] = []

    def progress(trial: WeightTrial) -> None:
        tried.append(trial)
        kept.add(trial)

    assert tune_ctc(texts(), config, trials=6, progress=progress, done=kept.read()) == whole
    assert tried == whole[1][3:]
    assert kept.path.read_text().splitlines() == lines
    assert TuningCache(tmp_path / "kept").trials({"config": "b"}).read() == []
    nothing = TuningCache().trials(told)
    nothing.add(tried[0])
    assert nothing.read() == []


def test_tries_of_another_tuning_are_not_taken(tmp_path: Path) -> None:
    kneser_ney.train([["YES", "NO"]] * 9, order=2).save(tmp_path / "lm.arpa")
    config = DecodingConfig(lm=str(tmp_path / "lm.arpa"))
    assert tune_ctc(texts(), config, trials=2, done=[WeightTrial(9.0, 9.0, 0.0)]) == tune_ctc(texts(), config, trials=2)
