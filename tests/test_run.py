"""Runs: every tiny recipe takes steps, a folder keeps to its recipe, and the best model is tested once."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from noisewise.checkpoints import model_folder
from noisewise.config import dump, dump_yaml, load, parse
from noisewise.errors import ConfigError, NoisewiseError
from noisewise.inference.recogniser import Recogniser
from noisewise.recipe import Recipe
from noisewise.run import assemble, data_sets, train, was_tested
from noisewise.text import subword
from noisewise.text.subword import SubwordTokenizer
from noisewise.training import log
from tests.corpus import TINY, WORDS, run_tiny, write_corpus, write_recipe

QUICK = ["train.workers=0", "run.steps=2", "run.validate_every=2", "run.save_every=2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A working folder in which one tiny recipe after the other leaves its run."""
    folder = tmp_path_factory.mktemp("tiny")
    write_corpus(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.mark.parametrize("name", sorted(path.stem for path in TINY.glob("*.yaml")))
def test_every_tiny_recipe_takes_steps(name: str, trained: None) -> None:
    run = run_tiny(name) if not (Path("runs") / name).exists() else Path("runs") / name
    records = log.read(run, "train")
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(value) for record in records for value in record.values() if isinstance(value, float))
    about = json.loads((run / "best" / "config.json").read_text())
    assert about["recipe"]["model"]["kind"] == about["model"]["kind"]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    write_corpus(tmp_path)
    return write_recipe(tmp_path)


def test_a_recipe_runs_and_leaves_a_model(tiny: Path, tmp_path: Path) -> None:
    metrics = train(load(Recipe, tiny, QUICK), tmp_path / "run")
    assert set(metrics) == {"wer", "cer", "ctc"}
    about = model_folder.load(tmp_path / "run" / "best").about
    assert about["recipe"]["run"]["steps"] == 2 and about["metrics"] == metrics


def test_more_steps_go_on_but_another_model_does_not(tiny: Path, tmp_path: Path) -> None:
    train(load(Recipe, tiny, QUICK), tmp_path / "run")
    train(load(Recipe, tiny, [*QUICK, "run.steps=3"]), tmp_path / "run")
    assert [record["step"] for record in log.read(tmp_path / "run", "train")] == [1, 2, 3]
    with pytest.raises(ConfigError, match=r"other values of model\.encoder\.layers, optimizer\.lr"):
        train(load(Recipe, tiny, [*QUICK, "model.encoder.layers=1", "optimizer.lr=1"]), tmp_path / "run")


def test_a_run_can_start_from_a_released_model(tiny: Path, tmp_path: Path) -> None:
    train(load(Recipe, tiny, QUICK), tmp_path / "first")
    start = f"start_from={tmp_path / 'first' / 'best'}"
    train(load(Recipe, tiny, [*QUICK, start, "optimizer.lr=0", "run.average_decay=0"]), tmp_path / "second")
    first, second = (model_folder.load(tmp_path / run / "best").model.state_dict() for run in ("first", "second"))
    assert all((first[name] == second[name]).all() for name in first)


def test_a_broken_file_is_skipped_and_reported(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus" / "u3.wav").write_bytes(b"RIFF")
    train(load(Recipe, tiny, QUICK), tmp_path / "run")
    skipped = log.read(tmp_path / "run", "skipped")
    assert {record["id"] for record in skipped} == {"u3"}
    assert all(record["reason"] for record in skipped)


def test_wrong_vocabulary_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`model\.vocabulary` must be 30, .* but is 29 instead; write null"):
        train(load(Recipe, tiny, ["model.vocabulary=29"]), tmp_path / "run")


@pytest.fixture
def tagging(tmp_path: Path) -> Path:
    """A recipe that learns on two parts of the corpus and is tested on a third, which `split` names."""
    write_corpus(tmp_path)
    table = tmp_path / "corpus" / "manifest.tsv"
    splits = ["split", *["train"] * 4, *["held"] * 2, *["test"] * 2]
    rows = zip(table.read_text().splitlines(), splits, strict=True)
    table.write_text("".join(f"{line}\t{split}\n" for line, split in rows))
    path = write_recipe(tmp_path, "cat_tagging")
    values = {"train": "train", "validation": "held", "test": "test"}
    recipe = dump(load(Recipe, path, [*QUICK, "start_from=null"]))
    recipe["test"] = dict(recipe["validation"])
    for part, split in values.items():
        recipe[part]["manifests"] = [f"{tmp_path / 'corpus'}#split={split}"]
    path.write_text(dump_yaml(parse(Recipe, recipe)))
    return path


@pytest.mark.parametrize("split", ["held", "test"])
def test_what_is_wrong_with_what_comes_late_is_said_before_the_first_step(
    split: str, tagging: Path, tmp_path: Path
) -> None:
    """A label that training has not seen."""
    table = tmp_path / "corpus" / "manifest.tsv"
    lines = [line.split("\t") for line in table.read_text().splitlines()]
    where = lines[0].index("speaker")  # the labels of this recipe
    for line in lines:
        line[where] = "never seen" if line[-1] == split else line[where]
    table.write_text("".join("\t".join(line) + "\n" for line in lines))
    with pytest.raises(NoisewiseError, match="never seen"):
        train(load(Recipe, tagging, ["train.workers=0"]), tmp_path / "run")
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_the_best_model_is_tested_once(tagging: Path, tmp_path: Path) -> None:
    train(load(Recipe, tagging), tmp_path / "run")
    found = json.loads((tmp_path / "run" / "test.json").read_text())
    assert sorted(found["ids"]) == ["u6", "u7"] and not found["papers_protocol"] and was_tested(tmp_path / "run")
    assert dict(zip(found["ids"], found["sources"], strict=True)) == {"u6": "s0", "u7": "s1"}
    best = model_folder.load_tagger(tmp_path / "run" / "best")
    assert found["weights_sha256"] == model_folder.weights_hash(best.folder)
    before = (tmp_path / "run" / "test.json").stat().st_mtime_ns
    train(load(Recipe, tagging), tmp_path / "run")
    assert (tmp_path / "run" / "test.json").stat().st_mtime_ns == before
    train(load(Recipe, tagging, ["run.steps=4"]), tmp_path / "run")
    assert was_tested(tmp_path / "run"), "another best model is tested again"


def test_the_protocol_of_the_papers_learns_from_more_and_chooses_on_the_test_set(tagging: Path, tmp_path: Path) -> None:
    recipe = load(Recipe, tagging)
    chosen, held_back = data_sets(recipe)
    assert (chosen, held_back) == (recipe.train, recipe.validation)
    papers = load(Recipe, tagging, ["papers_protocol=true"])
    chosen, held_back = data_sets(papers)
    splits = [source.partition("=")[2] for source in chosen.manifests]
    assert splits == ["train", "held"] and held_back == papers.test and chosen.roll
    source = assemble(papers, tmp_path / "run").source
    assert {name for batch in source.validation() for name in batch.ids} == {"u6", "u7"}
    with pytest.raises(ConfigError, match="`test` must be given with `papers_protocol`"):
        data_sets(load(Recipe, tagging, ["papers_protocol=true", "test=null"]))


def test_as_many_classes_as_the_training_set_has(tagging: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`model\.classes` must be 2, as many as the training set has, but is 3"):
        train(load(Recipe, tagging, ["model.classes=3"]), tmp_path / "run")


SUBWORDS = ["tokenizer.kind=bpe", "tokenizer.size=32", "model.vocabulary=32"]


@pytest.mark.parametrize("name", ["ctc", "encoder_decoder"])
def test_subwords_are_learned_from_the_training_transcripts(name: str, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    table = tmp_path / "corpus" / "manifest.tsv"
    (tmp_path / "corpus" / "other.tsv").write_text(table.read_text().replace("YES", "ZZZ"))
    path = write_recipe(tmp_path, name)
    quick = [*QUICK, *SUBWORDS, "run.log_every=1", f"validation.manifests=[{tmp_path}/corpus/other.tsv]"]
    train(load(Recipe, path, quick), tmp_path / "run")
    loaded = model_folder.load(tmp_path / "run" / "best")
    assert isinstance(loaded.tokenizer, SubwordTokenizer) and len(loaded.tokenizer) == loaded.config.vocabulary == 32
    assert loaded.tokenizer.merges == subword.learn(WORDS, 32).merges
    assert not (loaded.folder / "tokens.txt").exists()
    transcript = Recogniser.load(loaded.folder).transcribe(tmp_path / "corpus" / "u0.wav")
    assert transcript.error is None
    table.write_text(table.read_text().replace("GO", "NO"))  # what was learned stays
    on = load(Recipe, path, [*quick, "run.steps=4"])
    train(on, tmp_path / "run")
    assert model_folder.load(tmp_path / "run" / "best").tokenizer.symbols == loaded.tokenizer.symbols


def test_symbols_must_be_as_many_as_the_model_has(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`model\.vocabulary` must be 32, .* but is 30 instead; write null"):
        train(load(Recipe, tiny, [*QUICK, *SUBWORDS[:2]]), tmp_path / "run")


def test_a_start_with_other_symbols_gives_its_encoder_alone(tiny: Path, tmp_path: Path) -> None:
    train(load(Recipe, tiny, QUICK), tmp_path / "letters")
    start = f"start_from={tmp_path}/letters/best"
    found = assemble(load(Recipe, tiny, [*QUICK, *SUBWORDS, start]), tmp_path / "subwords")
    letters = model_folder.load(tmp_path / "letters" / "best").model
    weights = found.model.state_dict()
    assert all(torch.equal(tensor, weights[f"encoder.{name}"]) for name, tensor in letters.encoder.state_dict().items())
    train(load(Recipe, tiny, [*QUICK, *SUBWORDS]), tmp_path / "first")
    source = f"tokenizer.source={tmp_path}/first/best"
    second = assemble(load(Recipe, tiny, [*QUICK, *SUBWORDS, source, "tokenizer.least=9"]), tmp_path / "second")
    assert second.tokenizer.symbols == model_folder.load(tmp_path / "first" / "best").tokenizer.symbols


def test_a_language_model_brings_its_own_tokens(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    path = write_recipe(tmp_path, "lm")
    found = assemble(load(Recipe, path), tmp_path / "run")
    assert found.vocabulary is not None and found.release_config.vocabulary == len(found.vocabulary)
    assert (tmp_path / "run" / "tokens.txt").read_text().splitlines() == list(found.vocabulary.tokens)
    for wrong in ("tokenizer.kind=bpe", f"test.manifests=[{tmp_path}/corpus]"):
        with pytest.raises(ConfigError, match="`tokenizer` and `test` must be left out"):
            assemble(load(Recipe, path, [wrong]), tmp_path / "run")
