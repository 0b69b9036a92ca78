"""The joint task: its two losses, what is validated, learning by heart, going on after a stop."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from noisewise import tasks
from noisewise.checkpoints import model_folder
from noisewise.config import load
from noisewise.decoding import saved_config as default
from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.config import DecodingConfig
from noisewise.errors import ConfigError
from noisewise.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig, tiny
from noisewise.models.logmel_transformer import tiny as tiny_encoder
from noisewise.recipe import Recipe
from noisewise.run import train
from noisewise.tasks.ctc import CTCTaskConfig
from noisewise.tasks.joint import JointTask, JointTaskConfig
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.training import checkpoint
from tests.corpus import tones, write_corpus, write_recipe
from tests.tasks.test_ctc import batch_of

CONFIG = EncoderDecoderConfig(encoder=replace(tiny_encoder(), spec_augment=None, dropout=0.0), decoder=tiny())


@pytest.fixture
def task() -> JointTask:
    torch.manual_seed(0)
    return JointTask(JointTaskConfig(frozen_start=5), EncoderDecoder(CONFIG), CharacterTokenizer())


def test_the_loss_is_the_weighted_sum_of_both(task: JointTask) -> None:
    task.eval()
    batch = batch_of("YES", "NO")
    assert batch.tokens is not None and batch.token_lengths is not None
    loss = task(batch)
    output = task.model.encode(batch.waveform, batch.lengths)
    attention = task.model.attention_loss(output, batch.tokens, batch.token_lengths, 0.1).sum()
    ctc = task.model.ctc_loss(output, batch.tokens, batch.token_lengths).sum()
    torch.testing.assert_close(loss.total, 0.7 * attention + 0.3 * ctc)
    torch.testing.assert_close(loss.terms["attention"], attention.detach())
    torch.testing.assert_close(loss.terms["ctc"], ctc.detach())
    assert loss.weight == 2 and abs(float((attention - ctc).detach())) > 0.1


def test_only_the_heads_learn_in_a_frozen_start(task: JointTask) -> None:
    assert {id(p) for p in task.frozen(4)} == {id(p) for p in task.model.encoder.parameters()}
    assert task.frozen(5) == []


def test_a_batch_without_tokens_is_refused(task: JointTask) -> None:
    batch = batch_of("YES")
    batch.tokens = None
    with pytest.raises(ConfigError, match=r"`batch\.tokens` must be given"):
        task(batch)


def test_a_task_must_suit_its_model(task: JointTask) -> None:
    assert isinstance(tasks.build(JointTaskConfig(), task.model, task.tokenizer), JointTask)
    with pytest.raises(ConfigError, match="joint for encoder_decoder"):
        tasks.build(CTCTaskConfig(), task.model, task.tokenizer)
    with pytest.raises(ConfigError, match="`ctc_weight` must be 0 to 1"):
        JointTaskConfig(ctc_weight=1.1)


def test_two_utterances_are_learned_by_heart(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = JointTask(JointTaskConfig(label_smoothing=0.0), EncoderDecoder(CONFIG), CharacterTokenizer())
    batch = batch_of("GO ON", "YES")
    for row, text in enumerate(batch.texts):
        said = torch.from_numpy(tones(text, row))
        batch.waveform[row] = 0.0
        batch.waveform[row, : len(said)], batch.lengths[row] = said, len(said)
    assert task.validate([batch])["wer"] > 0.5
    optimizer = torch.optim.Adam(task.parameters(), lr=2e-3)
    for _ in range(40):
        loss = task.train()(batch)
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 5.0)
        optimizer.step()
    metrics = task.validate([batch])
    assert metrics["wer"] == metrics["wer_attention"] == metrics["wer_ctc"] == 0.0
    assert metrics["attention"] < 1.0 and metrics["ctc"] < 1.0
    assert task.training


def test_release_says_how_to_search(task: JointTask, tmp_path: Path) -> None:
    task.config = JointTaskConfig(search=JointConfig(beam=3))
    task.release(tmp_path / "best", CONFIG, {"step": 7})
    loaded = model_folder.load(tmp_path / "best")
    assert loaded.config == CONFIG
    assert default.read(tmp_path / "best") == DecodingConfig(attention=JointConfig(beam=3))
    for name, tensor in task.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)


def test_a_stopped_run_goes_on_exactly(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    path = write_recipe(tmp_path, "encoder_decoder")
    quick = [
        "train.workers=0",
        "run.save_every=2",
        "run.validate_every=4",
        "run.log_every=1",
        "schedule.kind=tri_stage",
    ]
    train(load(Recipe, path, [*quick, "run.steps=4"]), tmp_path / "whole")
    train(load(Recipe, path, [*quick, "run.steps=4"]), tmp_path / "stopped")
    newest = checkpoint.folder_of(tmp_path / "stopped", 4)
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    train(load(Recipe, path, [*quick, "run.steps=4"]), tmp_path / "stopped")
    one, other = (
        load_file(checkpoint.folder_of(tmp_path / name, 4) / "model.safetensors") for name in ("whole", "stopped")
    )
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    about = json.loads((tmp_path / "whole" / "best" / "config.json").read_text())
    assert set(about["metrics"]) >= {"wer", "cer", "wer_attention", "wer_ctc", "attention", "ctc"}
