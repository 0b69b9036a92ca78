"""A whole tuning from Python: what it reports, what it writes, what it refuses."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.audio.waveform import save
from noisewise.decoding import saved_config
from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.errors import EvaluationError
from noisewise.lm import kneser_ney
from noisewise.tuning.model import TuningConfig, TuningStep, tune_model


@pytest.fixture
def config(tmp_path: Path, model_dir: Path) -> TuningConfig:
    """A model with random outputs, a development set, a lexicon and a language model of its transcripts."""
    shutil.copytree(model_dir, tmp_path / "model")
    (tmp_path / "dev").mkdir()
    lines = ["path\ttext\tsplit"]
    for number in range(3):
        noise = np.random.default_rng(number).normal(0, 0.1, 16_000).astype(np.float32)
        save(tmp_path / "dev" / f"{number}.wav", noise)
        lines.append(f"{number}.wav\tYES NO\tdev")
    (tmp_path / "dev" / "manifest.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "words.txt").write_text("YES\nNO\n")
    kneser_ney.train([["YES", "NO"]] * 20, order=2).save(tmp_path / "lm.arpa")
    decoding = DecodingConfig(
        search=BeamConfig(beam=10), lm=str(tmp_path / "lm.arpa"), lexicon=str(tmp_path / "words.txt")
    )
    return TuningConfig(model=str(tmp_path / "model"), manifest=str(tmp_path / "dev"), decoding=decoding, trials=3)


def test_the_best_trial_is_written(config: TuningConfig, tmp_path: Path) -> None:
    steps: list[TuningStep] = []
    result = tune_model(config, steps.append)
    assert [step.kind for step in steps] == ["greedy", "trial", "trial", "trial", "best"]
    assert steps[0].wer == result.greedy_wer and steps[0].recordings == 3
    assert steps[-1].wer == result.wer == min(step.wer for step in steps[1:]) < result.greedy_wer
    assert result.written == tmp_path / "model" / "decoding.json"
    written = saved_config.read(tmp_path / "model")
    assert written is not None and written.lm_weight == result.decoding.lm_weight == steps[-1].weights["weight"]


def test_nothing_is_written_where_greedy_is_as_good(config: TuningConfig, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("GO\n")  # the lexicon forbids every word of the references
    result = tune_model(replace(config, trials=1))
    assert result.wer >= result.greedy_wer and result.written is None
    assert not (tmp_path / "model" / "decoding.json").exists()


def test_recordings_that_cannot_be_decoded_are_reported(config: TuningConfig, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "dev" / "2.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    steps: list[TuningStep] = []
    result = tune_model(replace(config, keep=str(tmp_path / "kept")), steps.append)
    assert steps[0].recordings == 2 and len(result.left_out) == len(steps[0].left_out) == 1
    assert tune_model(replace(config, keep=str(tmp_path / "kept"))).left_out == result.left_out


def test_what_cannot_be_tuned_is_refused(config: TuningConfig, tmp_path: Path) -> None:
    attending = replace(config, decoding=DecodingConfig(attention=JointConfig()))
    for wrong, message in (
        (replace(config, decoding=DecodingConfig()), "`decoding` must have `lm` or `rescoring`"),
        (replace(attending, keep=str(tmp_path / "kept")), "`keep` must be left out"),
        (replace(config, model="box"), "give --output FOLDER"),
        (replace(config, output=str(tmp_path)), "must be a new folder"),
    ):
        with pytest.raises(EvaluationError, match=message):
            tune_model(wrong)
