"""The codebook task: Eq. 10 with its beta, where the codes begin, what keeps them alive, and the collapse in words."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.models.wav2code.codebook_learning import CodebookLearning, CodebookLearningConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd
from noisewise.tasks.codebook import CodebookCollapse, CodebookTask, CodebookTaskConfig
from noisewise.training.optimizer import OptimizerConfig, build_optimizer

ENCODER = Wav2Vec2Config(
    front_end=LogMelFrontEnd(bins=40, channels=16), dim=24, layers=1, heads=4, feed_forward=32, position_kernel=6,
    position_groups=4, time_mask_probability=0.65, feature_grad_mult=1.0,
)  # fmt: skip
CONFIG = CodebookLearningConfig(encoder=ENCODER, codes=6)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def a_batch(*samples: int, seed: int = 1) -> Batch:
    random = torch.Generator().manual_seed(seed)
    waveform = torch.randn(len(samples), max(samples), generator=random).cumsum(dim=1) * 0.01
    return Batch(waveform, torch.tensor(samples), [f"u{row}" for row in range(len(samples))])


def a_task(**config: Any) -> CodebookTask:
    return CodebookTask(CodebookTaskConfig(initial_frames=60, **config), CodebookLearning(CONFIG))


def begun(**config: Any) -> CodebookTask:
    task = a_task(**config)
    task.initialise([a_batch(16_000, 16_000), a_batch(16_000, seed=2)])
    return task


def frames_of(task: CodebookTask, *batches: Batch) -> Tensor:
    task.model.eval()
    outputs = [task.model.encoder(batch.waveform, batch.lengths) for batch in batches]
    return torch.cat(
        [each.features[row, :count] for each in outputs for row, count in enumerate(each.lengths.tolist())]
    )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equation_10_times_the_frames_beta_on_the_commitment(reduction: Any) -> None:
    task, batch = begun(commitment=0.4, reduction=reduction), a_batch(9_000, 6_000)
    loss = task(batch)
    output = task.model(batch.waveform, batch.lengths)
    frames = int(output.lengths.sum())
    terms = [term(output, reduction) for term in (task.model.codebook_loss, task.model.commitment_loss)]
    assert loss.weight == frames
    torch.testing.assert_close(loss.total, (terms[0] + 0.4 * terms[1]) * frames)
    loss.total.backward()
    projection: Any = task.model.encoder.projection
    encoder = projection.weight.grad
    expected = torch.autograd.grad(terms[1] * 0.4 * frames, projection.weight)[0]
    torch.testing.assert_close(encoder, expected)  # beta weighs what moves the encoder, and the codes go without
    codes = torch.autograd.grad(terms[0] * frames, task.model.codebook.entries)[0]
    torch.testing.assert_close(task.model.codebook.entries.grad, codes)


def test_the_values_of_the_paper() -> None:
    assert (CodebookTaskConfig().commitment, CodebookLearningConfig().codes) == (0.25, 1024)


@pytest.mark.parametrize("kind", ["kmeans", "data", "uniform"])
def test_codes_begin_where_they_are_told_to(kind: Any) -> None:
    task = begun(initialisation=kind)
    frames = frames_of(task, a_batch(16_000, 16_000)).detach()  # 98 of them: the second batch is not needed
    nearest = torch.cdist(task.model.codebook.entries.detach(), frames).min(dim=1).values
    middle = torch.cdist(frames, frames).median()
    if kind == "data":
        assert (nearest < 1e-2).all()
    elif kind == "kmeans":
        assert (nearest < middle).all()
    else:
        assert task.model.codebook.entries.abs().max() <= 1 / 6
    assert float(task.first_variance) == pytest.approx(float(frames.var(dim=0).mean()), rel=1e-4)


def test_no_more_audio_is_read_than_k_means_needs() -> None:
    read = []

    def batches() -> Any:
        for number in range(100):
            read.append(number)
            yield a_batch(16_000, seed=number)

    a_task().initialise(batches())
    assert len(read) == 2  # 60 frames at 49 a second


def test_too_little_audio_is_said() -> None:
    with pytest.raises(ValueError, match="`frames` must be at least 6, but are 4"):
        a_task().initialise([a_batch(1_600)])


@pytest.mark.parametrize("regularise", [False, True])
def test_masks_and_dropout_are_off_unless_asked_for(regularise: bool) -> None:
    task = begun(regularise=regularise).train()
    batch = a_batch(9_000)
    first, second = (task.model(batch.waveform, batch.lengths).representations for _ in range(2))
    assert task.training and first.equal(second) == (not regularise)


def test_a_frozen_encoder_gets_no_gradient_and_no_place_in_the_optimizer() -> None:
    task = begun(freeze_encoder=True)
    task(a_batch(9_000)).total.backward()
    assert task.model.codebook.entries.grad is not None
    assert all(value.grad is None for value in task.model.encoder.parameters())
    held = [value for group in build_optimizer(OptimizerConfig(), task).param_groups for value in group["params"]]
    assert len(held) == 1 and held[0] is task.model.codebook.entries


def test_the_encoder_may_learn_slower() -> None:
    task = begun(encoder_lr_scale=0.01)
    groups = build_optimizer(OptimizerConfig(), task, task.lr_scale).param_groups
    encoder = {id(value) for value in task.model.encoder.parameters()}
    for group in groups:
        assert all((id(value) in encoder) == (group["scale"] == 0.01) for value in group["params"])
    assert {group["scale"] for group in groups} == {1.0, 0.01}


def test_dead_codes_move_at_their_steps_and_in_training_alone() -> None:
    task = begun(restart_below=0.5, restart_every=4)
    with torch.no_grad():
        task.model.codebook.entries[2] = 1e3
        task.model.codebook.counts[2] = 0
    for step, training, moved in ((0, True, False), (3, True, False), (4, False, False), (4, True, True)):
        task.train(training)
        task.begin(step)
        task(a_batch(9_000))
        assert bool((task.model.codebook.entries[2] < 1e2).all()) == moved
    frames = frames_of(task, a_batch(9_000))
    assert torch.cdist(task.model.codebook.entries[2:3].detach(), frames).min() < 1e-4


def test_uses_are_counted_in_training_and_padding_is_not() -> None:
    task = begun()
    before = task.model.codebook.counts.clone()
    batch = a_batch(9_000, 3_000)
    task.eval()(batch)
    assert task.model.codebook.counts.equal(before)
    task.train()(batch)
    output = task.model(batch.waveform, batch.lengths)
    uses = torch.cat([output.ids[0], output.ids[1, : output.lengths[1]]]).bincount(minlength=6).float()
    torch.testing.assert_close(task.model.codebook.counts, before * 0.99 + uses * 0.01)


def test_a_constant_encoder_is_a_collapse_explained_in_words() -> None:
    task = begun()
    with torch.no_grad():  # the last norm of the Transformer lets nothing but its bias through
        task.model.encoder.transformer.layers[-1].feed_forward_norm.weight.zero_()
        task.model.codebook.entries[3] = task.model.encoder.transformer.layers[-1].feed_forward_norm.bias
    batch = a_batch(9_000)
    output = task.model(batch.waveform, batch.lengths)
    assert task.model.codebook_loss(output) == task.model.commitment_loss(output) == 0
    task.begin(17)
    with pytest.raises(CodebookCollapse) as caught:
        task(batch)
    message = str(caught.value)
    for words in ("collapsed at step 17", "variance of Z_c", "Eq. 10 is least when every frame is the same vector",
                  "task.freeze_encoder=true", "task.encoder_lr_scale=0.01", "optimizer.lr"):  # fmt: skip
        assert words in message
    quiet = begun(collapse_ratio=0.0)
    quiet.load_state_dict(task.state_dict())
    quiet(batch)


def test_training_at_a_high_rate_collapses_and_is_stopped_while_a_frozen_encoder_is_not() -> None:
    """Eq. 10 alone, with few codes and no restart, at a rate a hundred times the paper's."""

    def run(**config: Any) -> int:
        torch.manual_seed(0)
        task = begun(restart_below=0, commitment=10.0, collapse_ratio=0.05, **config)
        optimizer = build_optimizer(OptimizerConfig(lr=5e-2, weight_decay=0.0), task, task.lr_scale)
        for group in optimizer.param_groups:
            group["lr"] *= group["scale"]
        for step in range(60):
            task.begin(step)
            optimizer.zero_grad()
            loss = task(a_batch(16_000, 12_000))
            (loss.total / loss.weight).backward()
            optimizer.step()
        return step

    with pytest.raises(CodebookCollapse, match="collapsed at step"):
        run()
    assert run(freeze_encoder=True) == 59


def test_the_first_variance_goes_with_the_checkpoint() -> None:
    task, other = begun(), a_task()
    assert float(other.first_variance) == 0
    other.load_state_dict(task.state_dict())
    assert float(other.first_variance) == float(task.first_variance) > 0


def test_monitors_are_of_valid_frames() -> None:
    task, batch = begun(), a_batch(9_000, 3_000)
    loss = task(batch)
    frames = frames_of(task, batch)
    ids = task.model.codebook.nearest(frames)
    shares = ids.bincount(minlength=6) / len(ids)
    logged = {name: float(value) / loss.weight for name, value in loss.terms.items()}
    assert logged["usage"] == pytest.approx(float((shares > 0).float().mean()), rel=1e-4)
    assert logged["perplexity"] == pytest.approx(float(torch.exp(torch.special.entr(shares).sum())), rel=1e-3)
    assert logged["variance"] == pytest.approx(float(frames.var(dim=0).mean()), rel=1e-3)
    assert logged["norm"] == pytest.approx(float(frames.norm(dim=1).mean()), rel=1e-3)


def test_validation_is_over_all_frames_however_they_are_batched() -> None:
    task = begun().train()
    batch = a_batch(9_000, 3_000)
    parts = [Batch(batch.waveform[row : row + 1, :count], batch.lengths[row : row + 1], [str(row)])
             for row, count in enumerate((9_000, 3_000))]  # fmt: skip
    whole, apart = task.validate([batch]), task.validate(parts)
    assert task.training and apart == pytest.approx(whole, rel=1e-4)
    frames = frames_of(task, batch).detach()
    left = (frames - task.model.codebook.lookup(task.model.codebook.nearest(frames))).square().mean()
    expected = {"reconstruction": left, "commitment": left, "variance": frames.var(dim=0, correction=0).mean()}
    expected["unexplained"] = left / expected["variance"]
    assert {name: whole[name] for name in expected} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, rel=1e-4
    )


def test_release_can_teach(tmp_path: Path) -> None:
    task = begun()
    task.release(tmp_path / "best", CONFIG, {"step": 7})
    stage = model_folder.load_stored(tmp_path / "best")
    assert stage.config == CONFIG
    model = stage.model()
    assert isinstance(model, CodebookLearning) and not model.training
    assert model.codebook.entries.equal(task.model.codebook.entries)
