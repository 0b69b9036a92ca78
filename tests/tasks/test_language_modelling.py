"""The task of language models: what is summed, what is validated, what is released."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from noisewise import recipe, run
from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import load
from noisewise.errors import ConfigError, NoisewiseError
from noisewise.models.lm import TransformerLM, tiny
from noisewise.tasks.language_modelling import LanguageModellingTask, LanguageModellingTaskConfig
from noisewise.text.vocabulary import Vocabulary
from noisewise.training import log
from tests.corpus import WORDS, run_tiny, write_corpus, write_recipe

VOCABULARY = Vocabulary.of_words([["A", "B", "C"]], 10)


@pytest.fixture
def task() -> LanguageModellingTask:
    torch.manual_seed(0)
    return LanguageModellingTask(LanguageModellingTaskConfig(), TransformerLM(tiny(5, "words")), VOCABULARY)


def batch_of(*texts: str) -> Batch:
    rows = [torch.tensor([0, *VOCABULARY.encode(text.split()), 0]) for text in texts]
    return Batch(
        waveform=torch.zeros(len(texts), 0),
        lengths=torch.zeros(len(texts), dtype=torch.int64),
        ids=list(texts),
        tokens=torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
        token_lengths=torch.tensor([len(row) for row in rows]),
    )


def test_the_loss_is_a_sum_over_tokens_and_ends(task: LanguageModellingTask) -> None:
    task.eval()
    whole = task(batch_of("A B C A", "B"))
    parts = [task(batch_of("A B C A")), task(batch_of("B"))]
    assert whole.weight == 7 == sum(part.weight for part in parts)
    assert whole.total.item() == pytest.approx(sum(part.total.item() for part in parts), abs=1e-4)


def test_perplexity_is_that_of_the_whole_set_however_it_is_cut(task: LanguageModellingTask) -> None:
    metrics = task.validate([batch_of("A B C A", "B")])
    cut = task.validate([batch_of("A B C A"), batch_of("B")])
    assert metrics == pytest.approx(cut, abs=1e-4)
    task.eval()
    assert metrics["perplexity"] == pytest.approx(math.exp(task(batch_of("A B C A", "B")).total.item() / 7), rel=1e-4)
    assert task.validate([batch_of("A X")])["unknown"] == pytest.approx(1 / 3)
    assert task.training


@pytest.fixture
def tiny_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    return run_tiny("lm", ["run.steps=6", "run.save_every=3"])


def test_a_run_leaves_a_language_model_of_the_words_that_were_there(tiny_run: Path) -> None:
    stage = model_folder.load_stored(tiny_run / "best")
    words = {word for text in WORDS for word in text.split()}
    found = Vocabulary.load(tiny_run / "best" / "tokens.txt")
    assert set(found.tokens) == words | {"</s>", "<unk>"}
    assert stage.config.vocabulary == len(found) == stage.model(TransformerLM).embedding.num_embeddings
    metrics = json.loads((tiny_run / "best" / "config.json").read_text())["metrics"]
    assert 1 < metrics["perplexity"] < 2 * len(found) and metrics["unknown"] == 0
    with pytest.raises(NoisewiseError, match="must hold a model of audio"):
        model_folder.load(tiny_run / "best")


def test_an_interrupted_run_goes_on_exactly(tiny_run: Path) -> None:
    for path in (tiny_run / "checkpoints").glob("step_00000006"):
        path.rename(tiny_run / "whole")
    run_tiny("lm", ["run.steps=6", "run.save_every=3"])
    for name in ("model", "average"):
        whole, resumed = (
            load_file(folder / f"{name}.safetensors")
            for folder in (tiny_run / "whole", tiny_run / "checkpoints" / "step_00000006")
        )
        assert whole.keys() == resumed.keys() and all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert [record["step"] for record in log.read(tiny_run, "train")] == [1, 2, 3, 4, 5, 6]


def test_other_words_are_not_gone_on_with(tiny_run: Path) -> None:
    manifest = Path("corpus/manifest.tsv")
    manifest.write_text(manifest.read_text().replace("HELP", "HALT"))
    with pytest.raises(ConfigError, match="its words differ"):
        run_tiny("lm", ["run.steps=7"])


def test_a_run_starts_from_the_words_of_another(tiny_run: Path) -> None:
    Path("corpus/manifest.tsv").write_text("path\ttext\nu0.wav\tNO\nu1.wav\tNEVER\n")
    start = [f"start_from={tiny_run}/best", "optimizer.lr=0", "run.average_decay=0", "run.steps=3"]
    second = run_tiny("lm", start, run="second")
    before, after = (model_folder.load_stored(run / "best").weights for run in (tiny_run, second))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (second / "tokens.txt").read_text() == (tiny_run / "best" / "tokens.txt").read_text()


def test_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    run = run_tiny("lm", ["model.unit=characters", "run.steps=3"])
    assert Vocabulary.load(run / "best" / "tokens.txt").tokens == Vocabulary.of_characters().tokens


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("lm", ["task={kind: ctc}"], "`task.kind` must suit the model"),
        ("lm", ["model={kind: ctc}", "task={kind: ctc}"], "must be recordings, but are text"),
        ("ctc", ["model={kind: lm}", "task={kind: language_modelling}"], "must be text for a language model"),
        ("lm", ["train.batch_token=3"], r"train.batch_token: unknown key; did you mean 'batch_tokens'"),
        ("ctc", ["train.max_secondss=3"], r"train.max_secondss: unknown key; did you mean 'max_seconds'"),
    ],
)
def test_what_does_not_fit_is_refused(
    name: str, overrides: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        run.train(load(recipe.Recipe, write_recipe(tmp_path, name), overrides), tmp_path / "run")


def test_a_language_model_and_a_recogniser_start_nothing_of_each_other(tiny_run: Path) -> None:
    with pytest.raises(NoisewiseError, match="shares parts with ctc"):
        run_tiny("ctc", [f"start_from={tiny_run}/best", "run.steps=1"])
