"""Model folders as recognisers, and what their results tell about them."""

import json
from pathlib import Path

import numpy as np

from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.rescoring import RescoringConfig
from noisewise.evaluation.systems.loading import load as load_recogniser
from noisewise.evaluation.systems.protocol import attempt
from tests.inference.test_language_model import write_lm


def test_a_model_folder_transcribes(model_dir: Path) -> None:
    recogniser = load_recogniser(str(model_dir))
    waveform = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    [found] = attempt(recogniser.recognise, [waveform])
    assert isinstance(found, str)
    assert len(recogniser.details["weights_sha256"]) == 64


def test_a_result_names_the_confidence_below_which_words_are_left_out(model_dir: Path, an4_dir: Path) -> None:
    assert load_recogniser(str(an4_dir)).details["least_confidence"] == "0.46"
    assert "least_confidence" not in load_recogniser(str(model_dir)).details


def test_a_model_with_language_models_says_which(model_dir: Path, tmp_path: Path) -> None:
    """Transformers in both passes, by name and hash, without where they lie."""
    first, second = write_lm(tmp_path / "first"), write_lm(tmp_path / "second")
    rescoring = RescoringConfig(lm=str(second), nbest=4)
    decoding = DecodingConfig(search=BeamConfig(beam=4), lm=str(first), rescoring=rescoring)
    found = load_recogniser(str(model_dir), decoding=decoding)
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert all(isinstance(text, str) for text in found.recognise([noise, noise[:8000]]))
    stored = json.loads(found.details["decoding"])
    assert (stored["lm"], stored["rescoring"]["lm"]) == ("first", "second")
    hashes = {found.details[f"{name}_sha256"] for name in ("lm", "rescoring_lm")}
    assert len(hashes) == 1 and str(tmp_path) not in json.dumps(found.details)
    (second / "README.md").write_text("another")
    again = load_recogniser(str(model_dir), decoding=decoding)
    assert again.details["rescoring_lm_sha256"] != again.details["lm_sha256"]
