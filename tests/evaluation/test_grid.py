"""Conditions of a configuration, and the mixtures under them."""

import numpy as np
import pytest

from noisewise.audio.waveform import save
from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import CLEAN, degraded_by, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.grid import Grid
from noisewise.evaluation.test_set import Speech


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two recordings with texts that are noise of two types, too."""
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(0)
    lines = ["path\ttext\tlabel"]
    for index, label in enumerate(("cafe", "car")):
        save(folder / f"{index}.wav", random.normal(0, 0.05, 4000 + index).astype(np.float32))
        lines.append(f"{index}.wav\tA\t{label}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return str(folder)


def test_clean_comes_first_then_types_by_ratios(corpus: str) -> None:
    speech = Speech.read(corpus)
    grid = Grid.build(GridConfig(manifest=corpus, noise=corpus, snrs_db=[10, 0, 10]), speech)
    assert grid.conditions == [CLEAN, *(in_noise(kind, snr) for kind in ("car", "cafe") for snr in (0, 10))]
    one = speech.utterances[0]
    clean = speech.waveform(one.id)
    assert np.array_equal(grid.mixture(one, CLEAN), clean)
    assert not np.array_equal(grid.mixture(one, in_noise("car", 0)), clean)
    assert Grid.build(GridConfig(manifest=corpus), speech).conditions == [CLEAN]


def test_levels_in_their_order(corpus: str) -> None:
    speech = Speech.read(corpus)
    grid = Grid.build(GridConfig(manifest=corpus, levels={"loss": [100.0], "clip": [6.0]}), speech)
    assert grid.conditions == [CLEAN, degraded_by("loss", 100), degraded_by("clip", 6)]
    assert not grid.mixture(speech.utterances[0], degraded_by("loss", 100)).any()


def test_the_hash_is_of_the_utterances(corpus: str) -> None:
    config = GridConfig(manifest=corpus)
    whole, part = (Grid.build(config, Speech.read(corpus, limit)).sha256 for limit in (None, 1))
    assert whole != part and whole == Grid.build(config, Speech.read(corpus)).sha256


@pytest.mark.parametrize("snrs_db", [[], [float("inf")]])
def test_ratios_must_be_finite(corpus: str, snrs_db: list[float]) -> None:
    with pytest.raises(EvaluationError, match="finite ratios"):
        Grid.build(GridConfig(manifest=corpus, noise=corpus, snrs_db=snrs_db), Speech.read(corpus))
