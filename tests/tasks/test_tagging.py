"""Labels: the loss, what is frozen and slowed, scores of a validation set, what is refused, what is released."""

from pathlib import Path
from typing import Any

import pytest
import torch

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.errors import ConfigError, ModelError
from noisewise.inference.tagger import Tagger
from noisewise.models.cat.encoder import CATConfig
from noisewise.models.cat.tagger import CATTagger, CATTaggerConfig
from noisewise.scoring.tagging import score
from noisewise.tasks.tagging import TaggingTask, TaggingTaskConfig
from noisewise.training.optimizer import OptimizerConfig, build_optimizer

ENCODER = CATConfig(channels=(8, 12, 32), blocks=1, bins=32, dim=32, layers=2, heads=2, feed_forward=48)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def a_batch(labels: list[list[float]], *samples: int) -> Batch:
    waveform = torch.randn(len(samples), max(samples), generator=torch.Generator().manual_seed(1)) * 0.05
    ids = [f"c{row}" for row in range(len(samples))]
    return Batch(waveform, torch.tensor(samples), ids, labels=torch.tensor(labels, dtype=torch.float32))


def a_task(*, model: dict[str, Any] | None = None, **values: Any) -> TaggingTask:
    config = CATTaggerConfig(**{"encoder": ENCODER, "classes": 3, "labels": "one", **(model or {})})
    return TaggingTask(TaggingTaskConfig(**values), CATTagger(config), ["a", "b", "c"])


ONE: list[list[float]] = [[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_the_loss_is_the_sum_over_clips_and_does_not_depend_on_the_batch() -> None:
    task, batch = a_task().eval(), a_batch(ONE, 16_000, 9_000, 12_000)
    loss = task(batch)
    assert batch.labels is not None and loss.weight == 3
    alone = [
        task(Batch(batch.waveform[row : row + 1, :n], torch.tensor([n]), ["x"], labels=batch.labels[row : row + 1]))
        for row, n in enumerate(batch.lengths.tolist())
    ]
    torch.testing.assert_close(loss.total, torch.stack([each.total for each in alone]).sum(), atol=1e-4, rtol=1e-4)


def test_scores_are_those_of_all_clips_together() -> None:
    task = a_task()
    batches = [a_batch(ONE[:2], 16_000, 9_000), a_batch(ONE[1:], 9_000, 12_000)]
    metrics = task.validate(batches)
    assert task.training
    task.eval()
    with torch.no_grad():
        found = torch.cat([task.model.probabilities(each.waveform, each.lengths) for each in batches])
    expected = score(found.numpy(), [*ONE[:2], *ONE[1:]])
    assert metrics["accuracy"] == expected.accuracy and metrics["error"] == pytest.approx(1 - metrics["accuracy"])
    assert metrics["mean_average_precision"] == pytest.approx(expected.mean_average_precision)
    many = a_task(model={"labels": "many"})
    metrics = many.validate([a_batch([[1.0, 1, 0], [0, 0, 0], [0, 1, 1]], 16_000, 9_000, 12_000)])
    assert metrics["error"] == pytest.approx(1 - metrics["mean_average_precision"]) and "accuracy" not in metrics


def test_the_head_alone_learns_in_the_beginning_or_all_the_time() -> None:
    task = a_task(frozen_start=2)
    encoder = {id(value) for value in task.model.encoder.parameters()}
    assert {id(value) for value in task.frozen(1)} == encoder and task.frozen(2) == []
    probe = a_task(model={"frozen": True})
    groups = build_optimizer(OptimizerConfig(), probe, probe.lr_scale).param_groups
    assert sum(len(group["params"]) for group in groups) == 4, "norm and head"


def test_layers_learn_slower_the_deeper_they_lie() -> None:
    task = a_task(layer_decay=0.5)
    groups = build_optimizer(OptimizerConfig(), task, task.lr_scale).param_groups
    scales = {id(value): group["scale"] for group in groups for value in group["params"]}
    found = {name: scales[id(value)] for name, value in task.model.named_parameters()}
    for name, scale in found.items():
        wanted = {"encoder.layers.0.": 0.25, "encoder.layers.1.": 0.5}
        assert scale == next((value for start, value in wanted.items() if name.startswith(start)), 1.0), name
    slow = a_task(layer_decay=0.5, slow_stem=True)
    assert slow.lr_scale("model.encoder.cls") == 0.125 and slow.lr_scale("model.head.weight") == 1.0


def test_statistics_of_the_corpus_replace_those_of_the_model() -> None:
    task = a_task(measured_clips=3)
    task.initialise([a_batch(ONE, 16_000, 9_000, 12_000)])
    features, _ = task.model.encoder.log_mel(torch.randn(1, 160_000) * 0.05, torch.tensor([160_000]))
    assert float(features.mean()) == pytest.approx(0.0, abs=0.05)
    assert float(features.std()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("row", [[0.0, 0, 0], [1.0, 1, 0]])
def test_one_label_means_one(row: list[float]) -> None:
    with pytest.raises(ConfigError, match="each clip must have one label, but 'c1'"):
        a_task()(a_batch([ONE[0], row], 9_000, 9_000))
    assert a_task(model={"labels": "many"})(a_batch([ONE[0], row], 9_000, 9_000)).total > 0


def test_batches_without_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"`batch\.labels` must be given"):
        a_task()(Batch(torch.zeros(1, 9_000), torch.tensor([9_000]), ["c"]))


def test_a_test_says_which_clips_were_right(tmp_path: Path) -> None:
    task, batch = a_task(), a_batch(ONE, 16_000, 9_000, 12_000)
    found = task.test([batch])
    with torch.no_grad():
        best = task.eval().model(batch.waveform, batch.lengths).argmax(dim=1).tolist()
    assert found["ids"] == batch.ids and found["predicted"] == ["abc"[place] for place in best]
    assert found["right"] == [int(place == wanted) for place, wanted in zip(best, [0, 2, 1], strict=True)]
    assert found["metrics"]["accuracy"] == pytest.approx(sum(found["right"]) / 3)
    assert found["interval"]["low"] <= found["metrics"]["accuracy"] <= found["interval"]["high"]
    many = a_task(model={"labels": "many"}).test([a_batch([[1.0, 1, 0], [0, 0, 0]], 9_000, 9_000)])
    assert "right" not in many and set(many["interval"]) == {"low", "high"}


def test_release_is_read_with_its_labels(tmp_path: Path) -> None:
    task = a_task()
    task.model.normalise_by(-3.0, 2.0)
    task.release(tmp_path / "best", task.model.config, {"step": 7})
    loaded = model_folder.load_tagger(tmp_path / "best")
    assert loaded.labels == ["a", "b", "c"] and loaded.about["step"] == 7
    assert loaded.config.encoder.mean == -3.0 and loaded.config.encoder.deviation == 2.0
    batch = a_batch(ONE, 16_000, 9_000, 12_000)
    task.eval()
    torch.testing.assert_close(loaded.model(batch.waveform, batch.lengths), task.model(batch.waveform, batch.lengths))
    with pytest.raises(ModelError, match="must hold a recogniser, but holds a tagger"):
        model_folder.load(tmp_path / "best")
    (tmp_path / "best" / "labels.txt").write_text("a\nb\n")
    with pytest.raises(ModelError, match="must name 3 classes, one a line, but names 2"):
        model_folder.load_tagger(tmp_path / "best")


def test_long_recordings_are_heard_in_windows_like_the_clips_that_were_validated(tmp_path: Path) -> None:
    task = a_task()
    task.validate([a_batch(ONE, 16_000, 9_000, 12_000), a_batch(ONE, 8_000, 24_000, 12_000)])
    task.release(tmp_path / "best", task.model.config, {})
    assert Tagger.load(tmp_path / "best").window_seconds == 1.5


def test_a_recogniser_is_no_tagger(model_dir: Path) -> None:
    with pytest.raises(ModelError, match="must hold a tagger, but holds a model of kind ctc"):
        model_folder.load_tagger(model_dir)
