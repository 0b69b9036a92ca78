"""What a tuning keeps: heard once, tried once, and only for the same question."""

from pathlib import Path

import torch

from noisewise.decoding.config import DecodingConfig
from noisewise.lm import kneser_ney
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.tuning.cache import TuningCache
from noisewise.tuning.ctc import HeardTexts, Trial, tune

TOKENIZER = CharacterTokenizer()


def texts() -> HeardTexts:
    generator = torch.Generator().manual_seed(0)
    log_probs = [torch.randn(frames, len(TOKENIZER), generator=generator).log_softmax(-1) for frames in (9, 4, 6)]
    return HeardTexts(TOKENIZER, ["YES", "NO", "O'CLOCK"], log_probs)


def refuse() -> HeardTexts:
    raise AssertionError("must not be heard again")


def test_recordings_are_heard_once(tmp_path: Path) -> None:
    told = {"weights": "a", "snr": [0.0, 10.0]}
    first = TuningCache(tmp_path / "kept").heard(told, TOKENIZER, texts)
    again = TuningCache(tmp_path / "kept").heard(told, TOKENIZER, refuse)
    assert again.references == first.references == ["YES", "NO", "O'CLOCK"]
    assert all(torch.equal(a, b) for a, b in zip(again.log_probs, texts().log_probs, strict=True))
    short = HeardTexts(TOKENIZER, ["A"], [torch.zeros(1, len(TOKENIZER))])
    other = TuningCache(tmp_path / "kept").heard({**told, "weights": "b"}, TOKENIZER, lambda: short)
    assert other.references == ["A"]
    assert TuningCache().heard(told, TOKENIZER, texts).references == first.references


def test_an_interrupted_tuning_goes_on(tmp_path: Path) -> None:
    kneser_ney.train([["YES", "NO"]] * 9, order=2).save(tmp_path / "lm.arpa")
    config = DecodingConfig(lm=str(tmp_path / "lm.arpa"))
    told = {"config": "a"}
    kept = TuningCache(tmp_path / "kept").trials(told)
    whole = tune(texts(), config, trials=6, progress=kept.add)
    assert kept.path is not None
    lines = kept.path.read_text().splitlines()
    assert len(lines) == 6
    kept.path.write_text("\n".join(lines[:3]) + "\n" + lines[3][:9])  # killed while it wrote
    tried: list[Trial] = []

    def progress(trial: Trial) -> None:
        tried.append(trial)
        kept.add(trial)

    assert tune(texts(), config, trials=6, progress=progress, done=kept.read()) == whole
    assert tried == whole[1][3:]
    assert kept.path.read_text().splitlines() == lines
    assert TuningCache(tmp_path / "kept").trials({"config": "b"}).read() == []
    nothing = TuningCache().trials(told)
    nothing.add(tried[0])
    assert nothing.read() == []


def test_tries_of_another_tuning_are_not_taken(tmp_path: Path) -> None:
    kneser_ney.train([["YES", "NO"]] * 9, order=2).save(tmp_path / "lm.arpa")
    config = DecodingConfig(lm=str(tmp_path / "lm.arpa"))
    assert tune(texts(), config, trials=2, done=[Trial(9.0, 9.0, 0.0)]) == tune(texts(), config, trials=2)
