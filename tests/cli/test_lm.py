import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noisewise.audio.waveform import save
from noisewise.checkpoints import model_folder
from noisewise.cli.main import main
from noisewise.decoding.config import DecodingConfig
from noisewise.inference.recogniser import Recogniser
from noisewise.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from noisewise.models.encoder_decoder import tiny as tiny_decoder
from noisewise.models.lm import TransformerLM
from noisewise.models.logmel_transformer import tiny as tiny_encoder
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.text.vocabulary import Vocabulary
from noisewise.tuning import model as tuning
from noisewise.tuning.ctc import tune_ctc
from tests.inference.test_language_model import WORDS, write_lm

TEXT = "\n".join(f"one {'two ' * (at % 4)}three {'four' if at % 3 else 'five'}" for at in range(50))


def test_train_then_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "test.txt").write_text("One two, three six.\n")
    model = tmp_path / "lm.arpa.gz"
    assert main(["lm", "train", str(tmp_path / "text.txt"), "--order", "3", "--output", str(model)]) == 0
    assert "8 1-grams" in capsys.readouterr().out  # five words, two marks and <unk>
    assert main(["lm", "score", str(model), str(tmp_path / "test.txt")]) == 0
    shown = capsys.readouterr().out
    assert "unknown               1 (25.00 %)" in shown
    numbers = {line.rsplit(maxsplit=1)[0].strip(): float(line.split()[-1]) for line in shown.splitlines()[3:]}
    assert 1 < numbers["without the unknown"] < numbers["perplexity"]


def test_characters_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    model = tmp_path / "lm.arpa"
    options = ["--characters", "--order", "2", "--prune", "0", "1", "--output", str(model)]
    assert main(["lm", "train", str(tmp_path / "text.txt"), *options]) == 0
    assert "\t|\t" in model.read_text()
    assert main(["lm", "score", str(model), str(tmp_path / "text.txt"), "--characters"]) == 0
    assert "unknown               0" in capsys.readouterr().out
    options = ["--vocabulary", "2", "--output", str(model)]
    assert main(["lm", "train", str(tmp_path / "text.txt"), *options]) == 0
    assert "5 1-grams" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score", "none.arpa", "none.txt"], "no such file"),
        (["train", "none.txt", "--output", "lm.arpa"], "no such file"),
        (["train", "none.txt", "--output", "nowhere/lm.arpa"], "no such folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lm", *words]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1


@pytest.fixture
def development(tmp_path: Path, model_dir: Path) -> list[str]:
    """A model, a development set that it babbles wrongly about, and a language model of what was said."""
    shutil.copytree(model_dir, tmp_path / "model")
    (tmp_path / "dev").mkdir()
    lines = ["path\ttext\tsplit"]
    for number in range(3):
        sound = np.random.default_rng(number).normal(0, 0.1, 16_000).astype(np.float32)
        save(tmp_path / "dev" / f"{number}.wav", sound)
        lines.append(f"{number}.wav\tYES NO\tdev")
    (tmp_path / "dev" / "manifest.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "text.txt").write_text("yes no\n" * 20)
    (tmp_path / "words.txt").write_text("YES\nNO\n")
    lm = str(tmp_path / "lm.arpa.gz")
    assert main(["lm", "train", str(tmp_path / "text.txt"), "--order", "2", "--output", lm]) == 0
    lexicon = ["--lexicon", str(tmp_path / "words.txt"), "--trials", "3", "--beam", "10"]
    return ["lm", "tune", str(tmp_path / "model"), str(tmp_path / "dev"), "--lm", lm, *lexicon]


def test_what_was_tuned_is_what_transcribe_does(
    development: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(development) == 0
    shown = capsys.readouterr().out
    assert "greedy: WER" in shown and shown.count("weight") == 4 and "written" in shown
    assert sorted(path.name for path in (tmp_path / "model").iterdir())[1:4] == [
        "config.json",
        "decoding.json",
        "lexicon.txt",
    ]
    (tmp_path / "lm.arpa.gz").unlink()
    (tmp_path / "words.txt").unlink()
    (tmp_path / "model").rename(tmp_path / "moved")
    ask = ["transcribe", str(tmp_path / "dev" / "0.wav"), "--model", str(tmp_path / "moved")]
    assert main(ask) == 0
    assert set(capsys.readouterr().out.split()) <= {"YES", "NO"}
    assert main([*ask, "--decoding", "greedy"]) == 0
    assert not set(capsys.readouterr().out.split()) <= {"YES", "NO"}


@pytest.mark.parametrize("weight", [None, 0.5])
def test_a_copy_leaves_the_model_as_it_was(
    weight: float | None, development: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was found, where weight 0 is as good as any and the language model goes; and where it counts."""
    tune = tune_ctc

    def found_to_count(posteriors: Any, config: DecodingConfig, **options: Any) -> Any:
        return replace(config, lm_weight=weight or 0.0, bonus=0.0), tune(posteriors, config, **options)[1]

    if weight is not None:
        monkeypatch.setattr(tuning, "tune_ctc", found_to_count)
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert main([*development, "--output", str(tmp_path / "tuned")]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
    found = json.loads((tmp_path / "tuned" / "decoding.json").read_text())
    assert (found["lexicon"], found["search"]["beam"]) == ("lexicon.txt", 10)
    assert (tmp_path / "tuned" / "model.safetensors").is_file()
    copied = [path for path in (tmp_path / "tuned").iterdir() if "arpa" in path.name]
    if weight is None:
        assert found["lm"] is None and not copied
    else:
        assert found["lm_weight"] == weight and [path.name for path in copied] == [found["lm"]]
        assert copied[0].read_bytes() == (tmp_path / "lm.arpa.gz").read_bytes()
        Recogniser.load(tmp_path / "tuned")


def test_a_test_set_and_the_box_are_refused(
    development: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "dev" / "manifest.tsv"
    table.write_text(table.read_text().replace("dev\n", "test\n"))
    for words, sentence in (
        (development, "must be a development set"),
        ([*development[:2], "box", *development[3:], "--force"], "give --output FOLDER"),
        ([*development, "--force", "--output", str(tmp_path)], "must be a new folder"),
        ([*development, "--force", "--trials", "0"], "`trials` must be at least 1"),
    ):
        capsys.readouterr()
        assert main(words) == 2
        shown = capsys.readouterr().err
        assert sentence in shown and shown.count("\n") == 1
    assert main([*development, "--force"]) == 0


def test_models_over_words_and_classes_are_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "other.txt").write_text("three one five\n" * 9)
    (tmp_path / "classes.txt").write_text("NUMBER one two three four five six\n")
    text, words, classes = (str(tmp_path / name) for name in ("text.txt", "words.arpa", "classes.arpa"))
    listed = str(tmp_path / "classes.txt")
    assert main(["lm", "train", text, "--order", "3", "--output", words]) == 0
    assert main(["lm", "train", text, "--order", "3", "--classes", listed, "--output", classes]) == 0
    mixed = ["lm", "mix", words, f"{classes}={listed}", "--output", str(tmp_path / "mixed")]
    assert main([*mixed, "--text", text, "--text", str(tmp_path / "other.txt")]) == 0
    weights = [float(line.split()[0]) for line in capsys.readouterr().out.splitlines() if line[0] in "01"]
    assert weights[0] > weights[1] > 0.1 and sum(weights) == pytest.approx(1)  # words foresee more of the text
    assert main(["lm", "score", str(tmp_path / "mixed"), str(tmp_path / "other.txt")]) == 0
    assert "unknown               0" in capsys.readouterr().out
    assert main(mixed) == 2
    assert "there already" in capsys.readouterr().err


def test_a_tuning_is_kept(development: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = ["--keep", str(tmp_path / "kept")]
    assert main([*development, *kept]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {path.name.split("-")[0] for path in (tmp_path / "kept").iterdir()} == {"posteriors", "trials"}
    assert main([*development, *kept]) == 0
    assert capsys.readouterr().out.splitlines() == [line for line in shown if not line.startswith("weight")]


def test_a_transformer_is_scored_like_an_ngram(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test.txt").write_text("Yes, no maybe.\nGo\n")
    for name, vocabulary, unit in (
        ("words", WORDS, "words"),
        ("letters", Vocabulary.of_characters(), "characters"),
    ):
        model = write_lm(tmp_path / name, vocabulary, unit)
        assert main(["lm", "score", str(model), str(tmp_path / "test.txt")]) == 0
        shown = capsys.readouterr().out
        assert ("unknown               1 (25.00 %)" in shown) == (unit == "words")
        assert ("per word" in shown) == (unit == "characters")
        read = model_folder.load_stored(model).model(TransformerLM)
        rows = [["YES", "NO", "MAYBE"], ["GO"]] if unit == "words" else [list("YES|NO|MAYBE"), list("GO")]
        total = sum(
            read.loss(torch.tensor([[0, *vocabulary.encode(row), 0]]), torch.tensor([len(row) + 2])).item()
            for row in rows
        )
        expected = math.exp(total / (sum(map(len, rows)) + 2))
        assert f"perplexity            {expected:.2f}" in shown


def test_a_second_pass_is_tuned_and_kept(
    development: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first pass by a lexicon alone; the second knows what is said."""
    first = [word for word in development if word != "--lm" and not word.endswith("lm.arpa.gz")]
    assert main([*first, "--rescore", str(tmp_path / "lm.arpa.gz"), "--rescore-nbest", "4"]) == 0
    shown = capsys.readouterr().out
    assert "rescoring: weight" in shown and "best: weight" not in shown
    found = json.loads((tmp_path / "model" / "decoding.json").read_text())
    assert found["lm"] is None and found["rescoring"]["lm"] == "rescoring_lm.arpa.gz"
    assert found["rescoring"]["nbest"] == 4
    (tmp_path / "lm.arpa.gz").unlink()
    assert main(["transcribe", str(tmp_path / "dev" / "0.wav"), "--model", str(tmp_path / "model")]) == 0
    assert set(capsys.readouterr().out.split()) <= {"YES", "NO"}
    assert main(first) == 2
    assert "--lm or --rescore must name a language model" in capsys.readouterr().err


def test_the_weights_of_attention_are_tuned_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    shape = EncoderDecoderConfig(encoder=tiny_encoder(), decoder=tiny_decoder())
    model_folder.save(tmp_path / "model", EncoderDecoder(shape), shape, CharacterTokenizer(), card="# For tests\n")
    (tmp_path / "dev").mkdir()
    save(tmp_path / "dev" / "0.wav", np.random.default_rng(0).normal(0, 0.1, 12_000).astype(np.float32))
    (tmp_path / "dev" / "manifest.tsv").write_text("path\ttext\tsplit\n0.wav\tYES NO\tdev\n")
    words = ["lm", "tune", str(tmp_path / "model"), str(tmp_path / "dev"), "--beam", "2"]
    assert main([*words, "--keep", str(tmp_path / "kept")]) == 2
    assert "must be left out where attention takes part" in capsys.readouterr().err
    status = main([*words, "--decoding", "rescoring", "--output", str(tmp_path / "tuned")])
    shown = capsys.readouterr()
    assert "greedy: WER" in shown.out and "ctc weight 0.3, length bonus 0, length power 0, lm weight" in shown.out
    if status == 1:  # babble is seldom better than babble
        assert "not better than greedy" in shown.err and not (tmp_path / "tuned").exists()
    else:
        assert json.loads((tmp_path / "tuned" / "decoding.json").read_text())["attention"]["mode"] == "rescoring"
