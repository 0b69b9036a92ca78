"""Stage 3: Eq. 14, a teacher that never learns, a codebook that stays, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.errors import ConfigError
from noisewise.models import Model, build
from noisewise.models.ctc import ctc_loss
from noisewise.models.wav2code.codebook_learning import CodebookLearning, CodebookLearningConfig
from noisewise.models.wav2code.iff_net import IFFNetConfig
from noisewise.models.wav2code.predictor import NearestConfig, TransformerPredictorConfig
from noisewise.models.wav2code.wav2code import Restoration, Wav2Code, Wav2CodeConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.ew2 import EW2Config
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd
from noisewise.models.wav2vec2.pretraining import ContrastConfig
from noisewise.tasks.wav2code import Wav2CodeTask, Wav2CodeTaskConfig, code_accuracy
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.training.optimizer import OptimizerConfig, build_optimizer

ENCODER = Wav2Vec2Config(
    front_end=LogMelFrontEnd(bins=40, channels=16), dim=24, layers=1, heads=4, feed_forward=32, position_kernel=6,
    position_groups=4, time_mask_probability=0.65, feature_grad_mult=1.0,
)  # fmt: skip
CONFIG = Wav2CodeConfig(
    encoder=ENCODER, codes=6, predictor=TransformerPredictorConfig(layers=1, dim=16, heads=4, feed_forward=24),
    fusion=IFFNetConfig(bottleneck=8, repeats=1),
)  # fmt: skip
CODEBOOK = CodebookLearningConfig(encoder=replace(ENCODER, time_mask_probability=0.0), codes=6)
CONTRAST = ContrastConfig(entries=4, quantized_dim=8, contrast_dim=8)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def a_folder(folder: Path, config: Any) -> str:
    model = build(config)
    if isinstance(model, CodebookLearning):
        with torch.no_grad():
            model.codebook.entries.normal_()
    return str(model_folder.save(folder, model, config, None, card="# A stage\n"))


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    """The folder of a stage 2."""
    return a_folder(tmp_path / "codebook", CODEBOOK)


def a_batch(*texts: str, samples: int = 16_000) -> Batch:
    random = torch.Generator().manual_seed(1)
    clean = torch.randn(len(texts), samples, generator=random).cumsum(dim=1) * 0.01
    tokens = [torch.tensor(CharacterTokenizer().encode(text)) for text in texts]
    return Batch(
        waveform=clean + torch.randn(len(texts), samples, generator=random) * 0.05,
        lengths=torch.tensor([samples - 3_000 * row for row in range(len(texts))]),
        ids=[f"u{row}" for row in range(len(texts))],
        texts=list(texts),
        clean=clean,
        tokens=torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True),
        token_lengths=torch.tensor([len(each) for each in tokens]),
    )


def a_task(teacher: str, config: Wav2CodeConfig = CONFIG, **changes: Any) -> Wav2CodeTask:
    task = Wav2CodeTask(Wav2CodeTaskConfig(teacher=teacher, **changes), Wav2Code(config), CharacterTokenizer())
    task.initialise([a_batch("YES", "NO")])
    return task


def codes(model: Model) -> Tensor:
    assert isinstance(model, CodebookLearning | Wav2Code)
    return model.codebook.entries.detach()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equation_14_summed_over_utterances(teacher: str, reduction: Any) -> None:
    task, batch = a_task(teacher, prediction=0.3, restoration=0.7, reduction=reduction).eval(), a_batch("YES", "NO")
    assert batch.clean is not None and batch.tokens is not None and batch.token_lengths is not None
    loss = task(batch)
    output = task.model.restore(batch.waveform, batch.lengths)
    stage_2 = model_folder.load_stored(teacher).model()
    assert isinstance(stage_2, CodebookLearning)
    told = stage_2(batch.clean, batch.lengths)  # Z_c and E of the unmasked clean speech
    ctc = ctc_loss(task.model.recognise(output), output.lengths, batch.tokens, batch.token_lengths)
    prediction = task.model.prediction_loss(output, told.ids, reduction)
    restoration = task.model.restoration_loss(output, told.representations, reduction)
    assert loss.weight == 2
    torch.testing.assert_close(loss.total, (ctc + 0.3 * prediction + 0.7 * restoration).sum())
    assert loss.terms.keys() == {"ctc", "prediction", "restoration", "code_accuracy"}


def test_the_values_of_the_paper() -> None:
    config = Wav2CodeTaskConfig()
    assert (config.prediction, config.restoration, config.fix_codebook) == (0.1, 0.1, True)
    assert Wav2CodeConfig().predictor == TransformerPredictorConfig(layers=4, dim=256)


def test_the_teacher_hears_clean_speech_unmasked_and_always_says_the_same(teacher: str) -> None:
    task, batch = a_task(teacher).train(), a_batch("YES", "NO")
    assert not task.teacher.training
    first, second = task.targets(batch), task.targets(batch)
    assert first[0].equal(second[0]) and first[1].equal(second[1])
    noisier = replace(batch, waveform=batch.waveform * 0)
    assert task.targets(noisier)[0].equal(first[0])
    assert not task.targets(replace(batch, clean=batch.waveform))[0].allclose(first[0])
    assert not any(each.requires_grad for each in first)


def a_few_steps(task: Wav2CodeTask, steps: int = 3, lr: float = 1e-2) -> None:
    optimizer = build_optimizer(OptimizerConfig(lr=lr), task, task.lr_scale)
    task.train()
    for _ in range(steps):
        optimizer.zero_grad()
        task(a_batch("YES", "NO")).total.backward()
        optimizer.step()


@pytest.mark.parametrize("fixed", [True, False])
def test_everything_learns_but_the_teacher_and_a_fixed_codebook(teacher: str, fixed: bool) -> None:
    task = a_task(teacher, fix_codebook=fixed)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    told = {name: value.clone() for name, value in task.teacher.state_dict().items()}
    a_few_steps(task)
    assert all(value.equal(told[name]) for name, value in task.teacher.state_dict().items())
    assert not any(name.startswith("_teacher") or "teacher" in name for name in task.state_dict())
    still = {name for name, value in task.model.state_dict().items() if value.equal(before[name])}
    assert ("codebook.entries" in still) == fixed
    assert still <= {"codebook.entries", "codebook.counts"}, "an averaged, masked step moves all else"


def test_codes_begin_as_the_teachers_and_the_targets_stay_the_teachers(teacher: str) -> None:
    task, batch = a_task(teacher, fix_codebook=False), a_batch("YES", "NO")
    assert codes(task.model).equal(codes(task.teacher))
    before = task.targets(batch)[1]
    with torch.no_grad():
        task.model.codebook.entries.add_(torch.randn_like(task.model.codebook.entries))
    assert task.targets(batch)[1].equal(before)


def test_without_a_codebook_codes_begin_at_clean_frames_and_name_themselves(tmp_path: Path) -> None:
    """Table IV, experiment 5: the teacher is the folder of stage 1."""
    contrast = a_folder(
        tmp_path / "ew2", EW2Config(encoder=replace(ENCODER, time_mask_probability=0.0), contrast=CONTRAST)
    )
    task, batch = a_task(contrast, fix_codebook=False), a_batch("YES", "NO")
    assert batch.clean is not None
    clean = task.teacher.encoder(batch.clean, batch.lengths)
    frames = torch.cat([clean.features[row, :count] for row, count in enumerate(clean.lengths.tolist())])
    assert (torch.cdist(codes(task.model), frames).min(dim=1).values < 1e-2).all()
    ids = task.targets(batch)[1]
    assert ids.equal(task.model.codebook.nearest(clean.features))
    with torch.no_grad():
        task.model.codebook.entries.copy_(task.model.codebook.entries.roll(1, dims=0))
    assert task.targets(batch)[1][0].equal((ids[0] + 1) % 6)


def test_the_encoder_may_learn_slower_and_later(teacher: str) -> None:
    task = a_task(teacher, encoder_lr_scale=0.2, frozen_start=5)
    encoder = {id(value) for value in task.model.encoder.parameters()}
    groups = build_optimizer(OptimizerConfig(), task, task.lr_scale).param_groups
    assert {group["scale"] for group in groups} == {0.2, 1.0}
    for group in groups:
        assert all((id(value) in encoder) == (group["scale"] == 0.2) for value in group["params"])
    held = {id(value) for group in groups for value in group["params"]}
    assert id(task.model.codebook.entries) not in held and encoder <= held
    assert {id(value) for value in task.frozen(4)} == encoder and task.frozen(5) == []


@pytest.mark.parametrize("weights", [(0.1, 0.0), (0.0, 0.1), (0.0, 0.0)])
def test_terms_of_weight_zero_move_nothing(teacher: str, weights: tuple[float, float]) -> None:
    torch.manual_seed(5)
    task = a_task(teacher, prediction=weights[0], restoration=weights[1]).eval()
    batch = a_batch("YES")
    task(batch).total.backward()
    found = task.model.head.weight.grad
    task.model.zero_grad()
    output = task.model.restore(batch.waveform, batch.lengths)
    assert batch.tokens is not None and batch.token_lengths is not None and found is not None
    ctc_loss(task.model.recognise(output), output.lengths, batch.tokens, batch.token_lengths).sum().backward()
    torch.testing.assert_close(found, task.model.head.weight.grad)  # the head knows L_CTC alone


def test_code_accuracy_counts_valid_frames() -> None:
    nothing, lengths = torch.zeros(2, 4, 3), torch.tensor([4, 2])
    output = Restoration(nothing, nothing, nothing, torch.tensor([[1, 2, 3, 4], [5, 0, 9, 9]]), None, lengths)
    right, frames = code_accuracy(output, torch.tensor([[1, 2, 0, 0], [5, 1, 9, 9]]))
    assert (right.item(), frames.item()) == (3, 6)


def test_training_raises_the_code_accuracy_and_lowers_every_term(teacher: str) -> None:
    torch.manual_seed(0)
    config = replace(CONFIG, encoder=replace(ENCODER, time_mask_probability=0.0), gumbel_noise=False)
    task, batch = a_task(teacher, config).eval(), a_batch("YES", "NO")
    before = task(batch).terms
    a_few_steps(task, 100, lr=2e-3)
    after = task.eval()(batch).terms
    assert after["code_accuracy"] > before["code_accuracy"] + 0.1
    assert all(after[name] < before[name] for name in ("ctc", "prediction", "restoration"))


def test_validation_tells_errors_and_code_accuracy_and_needs_no_clean_speech(teacher: str) -> None:
    task, batch = a_task(teacher).train(), a_batch("YES", "NO")
    metrics = task.validate([batch])
    assert task.training and metrics.keys() == {"wer", "cer", "ctc", "code_accuracy"}
    with torch.no_grad():
        found = task.eval()(batch).terms["code_accuracy"] / 2
    assert metrics["code_accuracy"] == pytest.approx(float(found), abs=1e-6)
    assert task.validate([replace(batch, clean=None)]).keys() == {"wer", "cer", "ctc"}


def test_release_recognises_without_its_teacher(teacher: str, tmp_path: Path) -> None:
    task = a_task(teacher)
    task.release(tmp_path / "best", CONFIG, {"step": 7})
    loaded = model_folder.load(tmp_path / "best")
    assert loaded.config == CONFIG and loaded.about["step"] == 7
    batch = a_batch("YES", "NO")
    with torch.inference_mode():
        torch.testing.assert_close(
            loaded.model.log_probs(batch.waveform, batch.lengths)[0],
            task.eval().model.log_probs(batch.waveform, batch.lengths)[0],
        )


def test_nearest_matching_learns_from_ctc_and_restoration(teacher: str) -> None:
    task = a_task(teacher, replace(CONFIG, predictor=NearestConfig()))
    loss = task(a_batch("YES", "NO"))
    assert loss.terms["prediction"] == 0
    loss.total.backward()
    assert task.model.encoder.projection.weight.grad is not None


def test_what_a_batch_lacks_is_said(teacher: str) -> None:
    task = a_task(teacher)
    with pytest.raises(ConfigError, match=r"`train\.keep_clean` must be true for Wav2code"):
        task(replace(a_batch("YES"), clean=None))
    with pytest.raises(ConfigError, match=r"`batch\.tokens` must be given"):
        task(replace(a_batch("YES"), tokens=None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": 7}, r"`model\.codes` must be 6, as in `task\.teacher`, but is 7 instead"),
        ({"encoder": replace(ENCODER, dim=16)}, r"`task\.teacher` must have frames of 16 values .* but has 24"),
    ],
)
def test_a_teacher_of_another_size_is_refused(teacher: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        a_task(teacher, replace(CONFIG, **change))


def test_no_teacher_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`task\.teacher` must be the folder of stage 2"):
        a_task("")
