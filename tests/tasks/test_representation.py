"""Pre-training CAT: the sum over clips, a teacher that follows after each step, statistics, what is released."""

from pathlib import Path

import pytest
import torch

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.errors import NoisewiseError
from noisewise.models import build
from noisewise.models.cat.encoder import CATConfig, statistics
from noisewise.models.cat.objective import CATObjectiveConfig, CATPretraining, CATPretrainingConfig
from noisewise.tasks.representation import RepresentationTask, RepresentationTaskConfig
from noisewise.training.loop import RunConfig, Trainer
from noisewise.training.optimizer import OptimizerConfig
from noisewise.training.schedule import Polynomial

ENCODER = CATConfig(
    channels=(8, 12, 32), blocks=1, bins=32, dim=32, layers=2, heads=2, feed_forward=48, decoder_layers=1,
    decoder_groups=4,
)  # fmt: skip
CONFIG = CATPretrainingConfig(
    encoder=ENCODER, objective=CATObjectiveConfig(views=2, utterance_weight=3.0, decay_start=0.9, decay_updates=4)
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def a_batch(*samples: int, seed: int = 1) -> Batch:
    waveform = torch.randn(len(samples), max(samples), generator=torch.Generator().manual_seed(seed)) * 0.05
    return Batch(waveform, torch.tensor(samples), [f"c{row}" for row in range(len(samples))])


def a_task(measured_clips: int = 0) -> RepresentationTask:
    model = build(CONFIG)
    assert isinstance(model, CATPretraining)
    return RepresentationTask(RepresentationTaskConfig(measured_clips=measured_clips), model)


def test_the_loss_is_the_sum_over_clips() -> None:
    task, batch = a_task(), a_batch(16_000, 9_000)
    torch.manual_seed(3)
    loss = task(batch)
    torch.manual_seed(3)
    losses = task.model(batch.waveform, batch.lengths)
    assert loss.weight == 2 and set(loss.terms) == {"frame", "utterance"}
    torch.testing.assert_close(loss.total, losses.total.sum())
    torch.testing.assert_close(loss.total.detach(), loss.terms["frame"] + 3 * loss.terms["utterance"])


class Source:
    def training(self, epoch: int, position: int, rank: int, world: int):  # type: ignore[no-untyped-def]
        while True:
            position += 1
            yield epoch, position, a_batch(9_000, 12_000, seed=position)

    def validation(self) -> list[Batch]:
        return [a_batch(9_000, 8_000)]


def test_the_teacher_follows_after_each_step_of_the_loop(tmp_path: Path) -> None:
    """By its schedule, counted from 1, from where the student began."""
    task = a_task(measured_clips=3)
    teacher = [value.clone() for value in task.model.teacher.parameters()]
    seen: list[list[torch.Tensor]] = []
    follow = task.after_step

    def watch(step: int) -> None:
        seen.append([value.detach().clone() for value in task.model.student.parameters()])
        follow(step)

    task.after_step = watch  # type: ignore[method-assign]
    run = RunConfig(steps=3, validate_every=9, save_every=9, average_decay=0, accelerator="cpu")
    Trainer(
        task, Source(), tmp_path, run=run, optimizer=OptimizerConfig(lr=1e-2), schedule=Polynomial(), recipe={},
        version="0", release_config=CONFIG,
    ).train()  # fmt: skip
    for step, students in enumerate(seen, start=1):
        decay = 0.9 + step / 4 * (0.99999 - 0.9)
        teacher = [decay * old + (1 - decay) * new for old, new in zip(teacher, students, strict=True)]
    for ours, expected in zip(task.model.teacher.parameters(), teacher, strict=True):
        torch.testing.assert_close(ours, expected)
    assert len(seen) == 3 and not torch.equal(seen[0][0], seen[2][0])
    stage = model_folder.load_stored(tmp_path / "best")
    mean, deviation = statistics([row[:n] for row, n in _clips(3)], ENCODER)
    assert stage.config.encoder.mean == pytest.approx(mean)
    assert stage.config.encoder.deviation == pytest.approx(deviation)
    loaded = stage.model().state_dict()
    assert all(loaded[name].equal(value) for name, value in task.model.state_dict().items())


def _clips(count: int) -> list[tuple[torch.Tensor, int]]:
    batches = [a_batch(9_000, 12_000, seed=seed) for seed in (1, 2)]
    return [(row, int(n)) for batch in batches for row, n in zip(batch.waveform, batch.lengths, strict=True)][:count]


def test_statistics_are_those_of_student_and_teacher() -> None:
    task = a_task(measured_clips=2)
    batch = a_batch(16_000, 9_000)
    task.initialise([batch, batch])
    mean, deviation = statistics([row[:n] for row, n in zip(batch.waveform, batch.lengths, strict=True)], ENCODER)
    for model in (task.model.student, task.model.teacher):
        assert float(model.mean) == pytest.approx(mean) and float(model.deviation) == pytest.approx(deviation)
    features, _ = task.model.student.log_mel(batch.waveform[:1], batch.lengths[:1])
    raw = features * 2 * deviation + mean
    before, _ = a_task().model.student.log_mel(batch.waveform[:1], batch.lengths[:1])
    torch.testing.assert_close(raw, before * 2 * ENCODER.deviation + ENCODER.mean, atol=1e-3, rtol=1e-3)
    silent = Batch(torch.zeros(1, 16_000), torch.tensor([16_000]), ["s"])
    with pytest.raises(NoisewiseError, match="must differ in their log-mel values"):
        task.initialise([silent, silent])
    other = a_task()
    other.initialise([batch])
    assert float(other.model.student.mean) == pytest.approx(ENCODER.mean)


def test_validation_has_the_same_masks_each_time_and_sees_a_collapse() -> None:
    task, batches = a_task(), [a_batch(9_000, 12_000), a_batch(16_000)]
    first = task.validate(batches)
    torch.manual_seed(5)
    assert task.validate(batches) == first and task.training and first["spread"] > 1e-6
    assert first["loss"] == pytest.approx(first["frame"] + 3 * first["utterance"], rel=1e-5)
    one = a_batch(9_000)
    assert task.validate([one, one])["spread"] == pytest.approx(0.0, abs=1e-10)
