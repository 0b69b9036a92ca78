"""The comparison with transformers: rounding agrees, a shifted bias is measured, other shapes are infinite."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noisewise.checkpoints import convert
from noisewise.checkpoints.foreign import parity, read
from noisewise.errors import InteropError
from tests.checkpoints.foreign.conftest import LARGE, Maker
from tests.corpus import write_whisper

WAVES = [0.1 * np.random.default_rng(seed).standard_normal(8_000).astype(np.float32) for seed in range(2)]


@pytest.mark.parametrize("kind", ["ForCTC", "Model"])
@pytest.mark.parametrize("shape", [{}, LARGE], ids=["base", "large"])
def test_a_folder_agrees_with_transformers(kind: str, shape: dict[str, object], a_folder: Maker) -> None:
    found = parity.compare(read(a_folder(kind, **shape)), WAVES)
    assert [each.seconds for each in found] == [0.5, 0.5] and found[0].frames == 24
    assert all(each.agrees and each.difference < 1e-4 and each.same_best > 0.9 for each in found)


def test_a_difference_is_measured(a_folder: Maker) -> None:
    checkpoint = read(a_folder())
    assert checkpoint.head is not None
    bias = checkpoint.head.bias.clone()
    bias[7] += 0.5
    (found,) = parity.compare(replace(checkpoint, head=replace(checkpoint.head, bias=bias)), WAVES[:1])
    assert not found.agrees and found.difference == pytest.approx(0.5, abs=1e-3)


def test_agreement_is_up_to_the_tolerance() -> None:
    exact = parity.Parity(1.0, 49, parity.TOLERANCE, 1.0)
    assert exact.agrees and not replace(exact, difference=1.1 * parity.TOLERANCE).agrees
    assert not replace(exact, difference=float("inf")).agrees and not replace(exact, difference=float("nan")).agrees


def test_without_an_extractor_the_waveform_is_normalised_as_the_model_wants(a_folder: Maker) -> None:
    folder = a_folder("Model", **LARGE)
    (folder / "preprocessor_config.json").unlink()
    checkpoint = read(folder)
    for normalise in (False, True):
        front_end: Any = checkpoint.config.front_end
        config: Any = replace(checkpoint.config, front_end=replace(front_end, normalise=normalise))
        (found,) = parity.compare(replace(checkpoint, config=config), [5 * WAVES[0] + 0.2])
        assert found.agrees
    assert not torch.equal(torch.from_numpy(WAVES[0]), torch.from_numpy(WAVES[1]))


def test_a_whisper_agrees_in_every_layout_and_a_change_of_its_decoder_is_measured(tmp_path: Path) -> None:
    write_whisper(tmp_path / "source")
    source = read(tmp_path / "source")
    convert.write(source, tmp_path / "other", "ctranslate2")
    for folder in ("source", "other"):
        (found,) = parity.compare(convert.read(tmp_path / folder), WAVES[:1])
        assert found.agrees and found.same_best == 1.0 and found.seconds == 0.5 and found.frames > 5
    assert source.whole is not None
    name = "decoder.transformer.layers.0.cross_attention.value.weight"
    changed = {**source.whole.weights, name: source.whole.weights[name].flip(0)}
    (found,) = parity.compare(replace(source, whole=replace(source.whole, weights=changed)), WAVES[:1])
    assert not found.agrees
    with pytest.raises(InteropError, match="must hold a Whisper with its decoder"):
        parity.compare(replace(source, whole=replace(source.whole, decoder={})), WAVES[:1])
