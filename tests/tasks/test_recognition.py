"""What all tasks of recognition share: the frozen start, the scores, the released folder."""

from pathlib import Path

import pytest
import torch

from noisewise.checkpoints import model_folder
from noisewise.models.ctc import CTCConfig
from noisewise.models.logmel_transformer import tiny
from noisewise.tasks.ctc import CTCTask
from noisewise.tasks.recognition import Scorer
from noisewise.text.tokenizer import CharacterTokenizer
from tests.tasks.test_ctc import batch_of, task

__all__ = ["task"]


def test_only_the_head_learns_in_a_frozen_start(task: CTCTask) -> None:
    frozen = {id(parameter) for parameter in task.frozen(4)}
    assert {id(parameter) for parameter in task.model.encoder.parameters()} == frozen
    assert not frozen & {id(parameter) for parameter in task.model.head.parameters()}
    assert task.frozen(5) == []


def test_a_batch_without_tokens_is_refused(task: CTCTask) -> None:
    batch = batch_of("YES")
    batch.tokens = None
    with pytest.raises(ValueError, match=r"`batch\.tokens` must be given"):
        task(batch)


def test_release_can_be_loaded(task: CTCTask, tmp_path: Path) -> None:
    config = CTCConfig(encoder=tiny())
    task.release(tmp_path / "best", config, {"step": 7})
    loaded = model_folder.load(tmp_path / "best")
    assert loaded.config == config and loaded.about["step"] == 7
    for name, tensor in task.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)


def test_the_scorer_sums_over_batches() -> None:
    """A head that is sure of a transcript has no error in it, and one of each length in others."""
    scorer = Scorer(CharacterTokenizer(), 320)
    for text, certain in (("NO", "NO"), ("GO", "NO")):
        ids = CharacterTokenizer().encode(certain)
        log_probs = torch.full((1, len(ids), 30), -20.0)
        log_probs[0, torch.arange(len(ids)), ids] = 0.0
        scorer.add(batch_of(text), log_probs, torch.tensor([len(ids)]))
    assert scorer.metrics()["wer"] == 0.5 and scorer.metrics()["cer"] == 0.25
    assert scorer.metrics()["ctc"] == pytest.approx(10.0, rel=1e-3)
