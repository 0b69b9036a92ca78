"""The contrastive task: Eq. 4 with its weights, pairs that stay in step from the file on, validation that repeats."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noisewise.audio.mix import add, gain_for_snr
from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import load
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.loader import build_loader
from noisewise.data.manifests.cuts import load_audio
from noisewise.data.manifests.read import read
from noisewise.data.noise.pool import NoisePool
from noisewise.errors import ConfigError, ModelError
from noisewise.models.wav2vec2.encoder import tiny
from noisewise.models.wav2vec2.ew2 import EW2, EW2Config
from noisewise.models.wav2vec2.pretraining import ContrastConfig, Wav2Vec2Pretraining, Wav2Vec2PretrainingConfig
from noisewise.recipe import Recipe
from noisewise.tasks.contrastive import ContrastiveTask, ContrastiveTaskConfig
from tests.corpus import write_corpus, write_recipe

SMALL = ContrastConfig(mask_span=3, entries=6, quantized_dim=12, contrast_dim=10, negatives=5)
EW2_CONFIG = EW2Config(encoder=tiny(), contrast=SMALL)
PLAIN_CONFIG = Wav2Vec2PretrainingConfig(encoder=tiny(), contrast=SMALL)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def a_batch(*samples: int) -> Batch:
    clean = torch.randn(len(samples), max(samples)) * 0.1
    noisy = clean + torch.randn_like(clean) * 0.05
    return Batch(noisy, torch.tensor(samples), [f"u{row}" for row in range(len(samples))], clean=clean)


def a_task(**config: Any) -> ContrastiveTask:
    return ContrastiveTask(ContrastiveTaskConfig(**config), EW2(EW2_CONFIG)).eval()


def test_equation_4_is_the_weighted_sum_times_the_hidden_frames() -> None:
    task, batch = a_task(diversity=0.3, feature_penalty=7.0, consistency=2.0), a_batch(9_000, 7_000)
    assert batch.clean is not None and isinstance(task.model, EW2)
    torch.manual_seed(1)
    loss = task(batch)
    torch.manual_seed(1)
    pair = task.model.forward_pair(batch.waveform, batch.clean, batch.lengths)
    model, hidden = task.model, int(pair.contrast.where.sum())
    terms = {
        "contrastive": model.contrastive_loss(pair.contrast),
        "diversity": model.diversity_loss(pair.contrast),
        "feature_penalty": model.pair_feature_penalty(pair),
        "consistency": model.consistency_loss(pair),
    }
    total = terms["contrastive"] + 0.3 * terms["diversity"] + 7 * terms["feature_penalty"] + 2 * terms["consistency"]
    assert loss.weight == hidden
    torch.testing.assert_close(loss.total, total * hidden)
    for name, value in terms.items():
        torch.testing.assert_close(loss.terms[name], value * hidden)
    chosen = pair.contrast.similarities.argmax(dim=1) == 0
    torch.testing.assert_close(loss.terms["accuracy"], chosen.float().sum())


def test_the_weights_of_the_paper() -> None:
    config = ContrastiveTaskConfig()
    assert (config.diversity, config.feature_penalty, config.consistency) == (0.1, 10.0, 1.0)


def test_wav2vec_2_has_no_consistency_and_needs_no_clean_speech() -> None:
    task = ContrastiveTask(ContrastiveTaskConfig(), Wav2Vec2Pretraining(PLAIN_CONFIG)).eval()
    batch = replace(a_batch(9_000), clean=None)
    torch.manual_seed(1)
    loss = task(batch)
    torch.manual_seed(1)
    output = task.model(batch.waveform, batch.lengths)
    total = task.model.contrastive_loss(output) + 0.1 * task.model.diversity_loss(output)
    total = total + 10 * task.model.feature_penalty(output)
    torch.testing.assert_close(loss.total, total * len(output.similarities))
    assert "consistency" not in loss.terms


def test_ew2_without_clean_speech_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`train\.keep_clean` must be true for EW2"):
        a_task()(replace(a_batch(9_000), clean=None))


def test_a_batch_without_a_hidden_frame_weighs_nothing_and_teaches_nothing() -> None:
    task = a_task().train()
    loss = task(a_batch(500, 300))
    loss.total.backward()
    assert loss.weight == 0 and loss.total.item() == 0
    assert all(value.grad is None or not value.grad.any() for value in task.parameters())


def test_the_step_sets_the_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    task, seen = a_task(), []
    monkeypatch.setattr(task.model, "gumbel_temperature", lambda step: seen.append(step) or 1.0)
    task.begin(41)
    task(a_batch(9_000))
    assert seen == [41]


def test_validation_hides_the_same_frames_each_time_and_goes_back_to_training() -> None:
    task, batches = a_task().train(), [a_batch(9_000, 7_000), a_batch(8_000)]
    torch.manual_seed(1)
    first = task.validate(batches)
    torch.manual_seed(2)
    assert task.validate(batches) == first and task.training
    assert {"loss", "contrastive", "accuracy", "entries_probable"} <= first.keys()
    assert not any(value.grad is not None for value in task.parameters())


def test_validation_weighs_batches_by_their_hidden_frames() -> None:
    task, batches = a_task().eval(), [a_batch(16_000), a_batch(5_000)]
    torch.manual_seed(0)
    with torch.no_grad():
        losses = [task(batch) for batch in batches]
    expected = sum(loss.terms["contrastive"] for loss in losses) / sum(loss.weight for loss in losses)
    assert task.validate(batches)["contrastive"] == pytest.approx(float(expected), rel=1e-5)


def test_release_can_be_started_from(tmp_path: Path) -> None:
    task = a_task()
    task.release(tmp_path / "best", EW2_CONFIG, {"step": 7})
    stage = model_folder.load_stored(tmp_path / "best")
    assert stage.config == EW2_CONFIG
    assert all(stage.weights[name].equal(value) for name, value in task.model.state_dict().items())
    with pytest.raises(ModelError, match="must hold a recogniser, but holds a model of kind ew2"):
        model_folder.load(tmp_path / "best")


def test_noisy_and_clean_are_one_crop_and_differ_by_the_scaled_noise_alone(tmp_path: Path) -> None:
    """From the files to the batch of recipes/tiny/ew2.yaml: noisy is clean + gain * noise bit for bit."""
    write_corpus(tmp_path)
    data = load(Recipe, write_recipe(tmp_path, "ew2"), ["train.workers=0"]).train
    assert isinstance(data, DataConfig)
    batches = list(build_loader(data, seed=3, training=False))
    assert data.noise is not None and data.crop_to_shortest
    pool = NoisePool.load(data.noise, 3)
    whole = {cut.id: load_audio(cut) for cut in read(tmp_path / "corpus")}
    for batch in batches:
        assert batch.clean is not None and batch.clean.shape == batch.waveform.shape
        assert set(batch.lengths.tolist()) == {batch.waveform.size(1)} and batch.waveform.size(1) <= 11_200
        for noisy, clean, name in zip(batch.waveform.numpy(), batch.clean.numpy(), batch.ids, strict=True):
            draw = pool.draw(0, name, len(clean))
            assert draw is not None
            noise = pool.segment(draw, len(clean))
            assert np.array_equal(noisy, add(clean, noise, gain_for_snr(clean, noise, draw.snr_db)))
            starts = range(len(whole[name]) - len(clean) + 1)
            assert any(np.array_equal(whole[name][start : start + len(clean)], clean) for start in starts)
