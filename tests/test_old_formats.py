"""Files that were written before the names and modules moved are read, count, and go on as they did.

The fixtures are of the last commit before version 0.2.0; their README.md says by which command each was made. Where the
command line can show that a file is understood, it is used, for its words outlive the modules. Audio is not stored: it
is that of `tests.corpus.write_corpus`.
"""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from noisewise.checkpoints import model_folder
from noisewise.cli.main import main
from noisewise.data.embeddings.store import EmbeddingStore
from noisewise.data.noise import noisy_sets
from noisewise.decoding import saved_config
from noisewise.embeddings import encoders
from noisewise.evaluation.result import GridResult
from noisewise.experiments.experiment import Experiment, whole
from noisewise.experiments.result import Reproduction
from noisewise.inference.recogniser import Recogniser
from noisewise.models.lm import TransformerLM
from noisewise.models.model import AcousticModel
from noisewise.reports import comparison_table
from noisewise.reports.comparison import compare
from noisewise.training import checkpoint, log
from noisewise.tuning.cache import KeptTrials
from tests.corpus import write_corpus

OLD = Path(__file__).parent / "fixtures" / "before_0_2"
EXPECTED: dict[str, dict[str, Any]] = json.loads((OLD / "expected.json").read_text())
RECOGNISERS = {"ctc": 30, "subwords": 36, "encoder_decoder": 30, "pretrained": 30, "wav2code": 30}
"""Models that write text, and the size of their vocabulary."""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with copies of the fixtures, and the corpus that they are of."""
    for path in OLD.iterdir():
        if path.is_dir() and path.name not in ("__pycache__",):
            shutil.copytree(path, tmp_path / path.name)
    shutil.copy(OLD / "transcripts.jsonl", tmp_path)
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOISEWISE_DATA", raising=False)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def sound(samples: int = 16_000) -> torch.Tensor:
    """A second of chirp in a little noise, of which expected.json is.

    Without the noise, mel bands far from the chirp hold nothing but the rounding of the transform, which is another on
    another processor: log-mel then differs by up to 0.2, and log-probabilities by 6e-3.
    """
    time = np.arange(samples) / 16_000
    chirp = 0.2 * np.sin(2 * np.pi * (200 + 900 * time) * time)
    return torch.from_numpy(chirp + 0.003 * np.random.default_rng(0).standard_normal(samples)).float()


# --- results -------------------------------------------------------------------------------------------------------
def test_a_grid_of_words() -> None:
    result = GridResult.load(OLD / "results" / "words.json")
    stored = json.loads((OLD / "results" / "words.json").read_text())
    assert (result.items, result.snrs_db) == (8, [0.0, 10.0])
    assert (result.config.manifest, result.config.noise, result.system) == ("corpus", "noise", "models/ctc")
    assert result.system_details == {"weights_sha256": model_folder.weights_hash(OLD / "models" / "ctc")}
    rows = {"clean": result.clean, "traffic@0": result.cell("traffic", 0), "traffic@10": result.cell("traffic", 10)}
    for row, old in zip(rows.values(), [stored["clean"], *stored["cells"]], strict=True):
        names = ("S", "D", "I", "words")
        assert [row.counts[name] for name in names] == [old[name] for name in names]
        assert (row.failures, row.scaled, row.mixture_sha256) == (
            old["failures"], old["scaled"], old["mixture_sha256"],
        )  # fmt: skip
        for metric in ("wer", "cer", "mean_utterance_wer"):
            assert row.value(metric) == old[metric]
        assert list(row.ci("wer")) == old["ci"]
    assert (rows["clean"].counts["words"], rows["clean"].wer, rows["traffic@0"].wer) == (12, 0.25, 0.75)
    assert result.averages["all"].wer == stored["averages"]["all"]["wer"]
    each = result.per_item
    assert each.ids == [f"u{place}" for place in range(8)] and each.references is not None
    assert sum(each.errors["traffic@0"]) == sum(rows["traffic@0"].counts[name] for name in ("S", "D", "I"))
    assert each.hypotheses is not None and set(each.hypotheses) == set(rows)


def test_a_grid_without_texts() -> None:
    result = GridResult.load(OLD / "results" / "words_without_texts.json")
    assert result.per_item.references is None and result.per_item.hypotheses is None
    assert result.clean.wer == 1.0 and result.system == "models/encoder_decoder"


def test_degradations() -> None:
    result = GridResult.load(OLD / "results" / "degradations.json")
    stored = json.loads((OLD / "results" / "degradations.json").read_text())
    assert (result.items, result.config.noise) == (4, None)
    assert [(row.condition.kind, row.condition.name, row.condition.value) for row in result.cells] == [
        ("degradation", "mulaw", 8.0), ("degradation", "loss", 10.0), ("degradation", "gain", -40.0),
        ("degradation", "gain", 20.0),
    ]  # fmt: skip
    assert [row.wer for row in result.cells] == [row["wer"] for row in stored["cells"]]


def test_a_grid_of_a_tagger() -> None:
    result = GridResult.load(OLD / "results" / "tagging.json")
    stored = json.loads((OLD / "results" / "tagging.json").read_text())
    assert (result.task, result.items, result.classes, result.groups) == ("tagging", 8, 2, 2)
    for row, old in zip([result.clean, *result.cells], [stored["clean"], *stored["cells"]], strict=True):
        assert row.accuracy == old["accuracy"]["value"]
        assert list(row.ci("accuracy")) == old["accuracy"]["ci"]
        assert row.value("mean_average_precision") == old["mean_average_precision"]["value"]
        assert row.mixture_sha256 == old["mixture_sha256"]
    assert 1 - sum(result.per_item.errors["clean"]) / 8 == result.clean.accuracy


def test_old_grids_compare_as_they_did() -> None:
    names = ("words", "words_lm", "words_without_texts")
    grids = [GridResult.load(OLD / "results" / f"{name}.json") for name in names]
    found = compare(grids, ["greedy", "lm", "other"], unit="speaker", samples=1000, seed=0)
    assert found.lines["all"].pairs[0].difference < 0, "the language model helps"
    rows, stored = (
        list(csv.reader(text.splitlines()))
        for text in (comparison_table.comma_separated(found), (OLD / "results" / "comparison.csv").read_text())
    )
    assert [row[: len(stored[0])] for row in rows] == stored, "further columns stand behind"
    old = (OLD / "results" / "comparison.md").read_text()
    shown = [line.replace("**", "*") for line in comparison_table.markdown(found, 0).splitlines()]
    assert {line for line in old.splitlines() if line.startswith("| ")} <= {*shown}, "further tables stand behind"


def test_probes() -> None:
    """Nothing of the package reads them: the fields are what others rely on."""
    values = json.loads((OLD / "results" / "probes.json").read_text())
    assert values["format"] == "noisewise-probes-1"
    assert [(each["store"], each["probe"], each["metric"]) for each in values["probes"]] == [
        ("store", "linear", "accuracy"), ("store", "knn", "accuracy"),
    ]  # fmt: skip
    assert all([one["fold"] for one in each["folds"]] == ["fold0", "fold1"] for each in values["probes"])


# --- reproductions -------------------------------------------------------------------------------------------------
def test_the_result_of_a_plan() -> None:
    result = Reproduction.load(OLD / "results" / "plan.json")
    stored = json.loads((OLD / "results" / "plan.json").read_text())
    assert whole(result) and result.seeds == [0, 1] and result.title == "plan"
    assert {(one.run, one.seed) for one in result.runs} == {(n, s) for n in ("pre", "tuned", "tagger") for s in (0, 1)}
    tuned = result.rates("tuned")
    assert tuned is not None
    (old,) = (one for one in stored["measured"] if one["run"] == "tuned")
    assert tuned.rates["clean"].by_seed == old["rates"]["clean"]["by_seed"]
    assert result.compared[0].differences["all"].difference == stored["compared"][0]["differences"]["all"]["difference"]
    assert (
        result.sounds is not None
        and result.sounds.accuracies[0].accuracy == stored["sounds"]["accuracies"][0]["accuracy"]
    )


def test_kept_records_count(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No run is there: with the records alone nothing is missing, and the result comes out of them again."""
    assert not (work / "runs").exists()
    assert main(["reproduce", "plan/plan.yaml", "--missing", "--dry-run", "--jobs", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == ["1 side by side: no training left"]
    assert Experiment.read(Path("plan/plan.yaml"), missing=True).runs == []
    stored = json.loads(Path("results/plan.json").read_text())
    assert main(["reproduce", "plan/plan.yaml", "--tables"]) == 0
    again = Reproduction.load("results/plan.json")
    assert {(one.run, one.seed) for one in again.runs} == {(one["run"], one["seed"]) for one in stored["runs"]}
    for one in stored["measured"]:
        found = again.rates(one["run"])
        assert found is not None
        assert {name: rate.wer for name, rate in found.rates.items()} == {
            name: rate["wer"] for name, rate in one["rates"].items()
        }
    assert again.sounds is not None
    assert [one.by_seed for one in again.sounds.accuracies] == [
        one["by_seed"] for one in stored["sounds"]["accuracies"]
    ]


def test_records_of_another_recipe_do_not_count(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Path("plan/plan.yaml")
    plan.write_text(plan.read_text().replace("run.steps=2", "optimizer.lr=5e-3"))
    assert main(["reproduce", "plan/plan.yaml", "--missing", "--dry-run", "--jobs", "1"]) == 0
    shown = capsys.readouterr().out
    assert "seed_0/tuned: step 0 of 3" in shown and "seed_1/tuned" in shown and "tagger" not in shown


# --- models --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_model_folder_computes_what_it_did(name: str) -> None:
    folder, old = OLD / "models" / name, EXPECTED[name]
    stored = model_folder.load_stored(folder)
    assert stored.config.kind == old["kind"]
    if old["kind"] == "lm":
        lm = stored.model(TransformerLM)
        with torch.no_grad():
            loss = float(lm.loss(torch.tensor([[0, 2, 3, 0]]), torch.tensor([4])))
        assert loss == pytest.approx(old["loss"], abs=1e-4)
        return
    model = stored.model()
    assert sum(parameter.numel() for parameter in model.parameters()) == old["parameters"]
    vector = encoders.load(str(folder)).vectors([sound()])[0]
    torch.testing.assert_close(vector, torch.tensor(old["vector"]), atol=1e-4, rtol=1e-4)
    if isinstance(model, AcousticModel):
        with torch.no_grad():
            log_probs, lengths = model.log_probs(sound()[None], torch.tensor([16_000]))
        assert int(lengths[0]) == old["frames"]
        torch.testing.assert_close(log_probs[0, 0], torch.tensor(old["log_probs"]), atol=1e-4, rtol=1e-4)


def test_every_kind_of_model_is_there() -> None:
    assert {each["kind"] for each in EXPECTED.values()} == {
        "ctc", "encoder_decoder", "lm", "wav2vec2_pretraining", "ew2", "codebook_learning", "wav2code",
        "cat_pretraining", "cat_tagger",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "symbols"), RECOGNISERS.items())
def test_recognisers_are_whole(name: str, symbols: int) -> None:
    loaded = model_folder.load(OLD / "models" / name)
    assert len(loaded.tokenizer) == symbols == loaded.config.vocabulary
    assert loaded.about["format"] == "noisewise-model-1" and loaded.about["step"] >= 1
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("STOP ONE")) == "STOP ONE"


def test_the_recogniser_transcribes_as_before(work: Path) -> None:
    stored = json.loads((OLD / "results" / "words.json").read_text())["per_utterance"]
    found = Recogniser.load("models/ctc").transcribe(sorted(str(path) for path in Path("corpus").glob("*.wav")))
    assert [each.text for each in found] == stored["hypotheses"]["clean"]


def test_a_tagger_is_whole() -> None:
    loaded = model_folder.load_tagger(OLD / "models" / "cat_tagging")
    assert loaded.labels == ["s0", "s1"]
    with torch.no_grad():
        logits = loaded.model(sound()[None], torch.tensor([16_000]))[0]
    torch.testing.assert_close(logits, torch.tensor(EXPECTED["cat_tagging"]["logits"]), atol=1e-4, rtol=1e-4)


# --- a run that goes on --------------------------------------------------------------------------------------------
def test_a_checkpoint_is_gone_on_with(work: Path) -> None:
    """Stopped after step 3 of 6: steps 4 to 6 are those of the run that was never stopped."""
    whole_run = [json.loads(line) for line in (OLD / "run_whole_log.jsonl").read_text().splitlines()]
    assert checkpoint.steps(Path("run")) == [3]
    state = checkpoint.read(checkpoint.folder_of(Path("run"), 3)).state
    assert (state.step, state.world, state.recipe["model"]["kind"]) == (3, 1, "ctc")
    before = Path("run/log.jsonl").read_text()
    assert main(["train", "run/recipe.yaml", "--output", "run"]) == 0
    assert Path("run/log.jsonl").read_text().startswith(before)
    found, old = log.read(Path("run"), "train"), [one for one in whole_run if one["kind"] == "train"]
    assert [one["step"] for one in found] == [1, 2, 3, 4, 5, 6]
    assert [one["lr"] for one in found] == [one["lr"] for one in old]
    assert [one["loss"] for one in found] == pytest.approx([one["loss"] for one in old], rel=1e-4)
    assert [one["gradient_norm"] for one in found] == pytest.approx([one["gradient_norm"] for one in old], rel=1e-3)
    assert checkpoint.steps(Path("run")) == [3, 6]
    assert set(load_file("run/checkpoints/step_00000006/model.safetensors")) == set(
        load_file("run/checkpoints/step_00000003/model.safetensors")
    )


def test_another_recipe_is_refused(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "run/recipe.yaml", "optimizer.lr=1e-4", "--output", "run"]) == 2
    assert "was begun with other values of optimizer.lr" in capsys.readouterr().err


# --- decoding and what tuning keeps --------------------------------------------------------------------------------
def test_a_decoding_is_the_default_of_its_model(work: Path) -> None:
    shutil.copytree("decoding", "models/ctc", dirs_exist_ok=True)
    config = saved_config.read("models/ctc")
    assert config is not None and config.lm == "models/ctc/lm.arpa.gz" and config.lexicon == "models/ctc/lexicon.txt"
    assert (config.search.beam, config.lm_unit, config.rescoring, config.attention) == (4, "words", None, None)
    stored = json.loads((OLD / "decoding" / "decoding.json").read_text())
    assert (config.lm_weight, config.bonus) == (stored["lm_weight"], stored["bonus"]) and config.lm_weight > 0
    recogniser = Recogniser.load("models/ctc")
    words = set(Path("decoding/lexicon.txt").read_text().split())
    found = recogniser.transcribe([f"corpus/u{place}.wav" for place in range(8)])
    assert {word for each in found for word in each.text.split()} <= words and found[3].text == "STOP ONE"


def test_a_second_pass(work: Path) -> None:
    config = saved_config.read("decoding_rescoring")
    assert config is not None and config.lm is None and config.rescoring is not None
    assert (config.rescoring.lm, config.rescoring.nbest) == ("decoding_rescoring/rescoring_lm.arpa.gz", 4)


def test_a_tuning_is_gone_on_with(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command finds every trial: it tries nothing again, and ends at the same weights."""
    (trials,) = Path("tuning").glob("trials-*.jsonl")
    kept = KeptTrials(trials).read()
    assert len(kept) == 5 and min(each.wer for each in kept) < 0.5
    there = trials.read_bytes()
    shutil.copy("decoding/lm.arpa.gz", "lm.arpa.gz")
    shutil.copy("decoding/lexicon.txt", "lexicon.txt")
    words = (
        "lm tune models/ctc corpus --lm lm.arpa.gz --lexicon lexicon.txt --trials 5 --beam 4 --limit 6 --noise noise"
    )
    more = "--types traffic --snr -5 --keep tuning --output tuned"
    assert main([*words.split(), *more.split()]) == 0
    shown = capsys.readouterr().out
    tried = [line for line in shown.splitlines() if line.startswith("weight")]
    assert "best: weight" in shown and all(line.startswith("weight 0, ") for line in tried), "only `off` is new"
    assert trials.read_bytes().startswith(there)
    assert json.loads(Path("tuned/decoding.json").read_text()) == json.loads(Path("decoding/decoding.json").read_text())


def test_transcripts_are_not_asked_again(work: Path) -> None:
    """The file does not grow: the key of the recogniser and the hashes of the mixtures are those of before."""
    before = Path("transcripts.jsonl").read_text()
    assert before.count("\n") == 24
    words = "evaluate corpus --model models/ctc --noise noise --types traffic --snr 0 10 --cache transcripts.jsonl"
    assert main([*words.split(), "--output", "again.json"]) == 0
    assert Path("transcripts.jsonl").read_text() == before
    old, new = (GridResult.load(path) for path in ("results/words.json", "again.json"))
    assert new.per_item == old.per_item and new.cells == old.cells and new.averages == old.averages


# --- data ----------------------------------------------------------------------------------------------------------
def test_a_ledger(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header, entries = noisy_sets.read(Path("mixed"))
    assert (header["ledger"], header["seed"], header["snr_db"], header["types"]) == (1, 4, [0.0, 10.0], ["traffic"])
    assert len(entries) == 16 and entries[1].id == "traffic/10/u0" and entries[1].noise.type == "traffic"
    stored = [entry for entry in entries if (Path("mixed") / entry.path).is_file()]
    assert [entry.id for entry in stored] == ["traffic/10/u0", "traffic/10/u1"]
    assert noisy_sets.verify(Path("mixed"), stored) == []
    assert main(["mix", "corpus", "noise", "again", "--rebuild", "mixed/ledger.jsonl"]) == 0
    assert "16 of 16 mixtures rebuilt, bit for bit" in capsys.readouterr().out
    for name in ("ledger.jsonl", "manifest.tsv"):
        assert (Path("again") / name).read_text() == (Path("mixed") / name).read_text()


def test_a_store_of_embeddings(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = EmbeddingStore("store")
    assert list(store) == [f"u{place}" for place in range(8)] and store.dim == 32 and len(store.shards) == 2
    assert (store.encoder, store.facts.level, store.facts.pooling, store.facts.half) == ("ctc", "clip", "mean", False)
    assert store.facts.weights_sha256 == model_folder.weights_hash("models/ctc")
    words = ["embed", "corpus", "--encoder", "models/ctc", "--output", "store", "--shard-clips", "5"]
    assert main(words) == 0
    assert "0 new vectors of ctc" in capsys.readouterr().out
    shutil.rmtree("store/")
    assert main(words) == 0
    again, old = EmbeddingStore("store"), EmbeddingStore(OLD / "store")
    for name in old:
        torch.testing.assert_close(again[name], old[name], atol=1e-4, rtol=1e-4)


def test_a_store_of_frames() -> None:
    store = EmbeddingStore(OLD / "store_frames")
    assert store.facts.level == "frames" and store.facts.half and store.encoder == "ctc"
    assert store["u0"].shape[1] == 32 and "b" not in store and store.unread["b"].reason == "truncated"
    assert store.missing(["u0", "u1", "b", "u7"]) == ["b", "u7"]
