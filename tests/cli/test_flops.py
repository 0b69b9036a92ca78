"""`noisewise flops`: what it prints for a size, a recipe and a model folder."""

import json
from pathlib import Path

import pytest

from noisewise.checkpoints import model_folder
from noisewise.cli.main import main
from noisewise.text.tokenizer import CharacterTokenizer
from tests.models.whisper import small, tokens

TINY = Path(__file__).parent.parent.parent / "recipes" / "tiny" / "ctc.yaml"


def test_a_recipe_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flops", str(TINY), "--seconds", "2", "--depth", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "32000 samples (2 s), 50 frames"
    assert lines[1].startswith("macs: multiply-accumulates of every")
    rows = {line.split()[0]: line.split()[1:] for line in lines[4:]}
    assert set(rows) == {str(TINY), "encoder", "head"}
    assert rows["head"] == ["1,950", "0.000", "0.000"]  # 64 * 30 + 30
    assert float(rows[str(TINY)][1]) == pytest.approx(2 * float(rows[str(TINY)][2]), abs=2e-3)


def test_a_model_folder_as_json_against_another(model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["flops", str(model_dir), "--against", str(TINY), "--convention", "flops", "--seconds", "1"]
    assert main([*words, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    mine, theirs = values["models"]
    assert values["convention"] == "flops" and mine["frames"] == 25
    assert mine["total"] == theirs["total"]
    head = next(module for module in mine["modules"] if module["name"] == "head")
    assert head == {"name": "head", "parameters": 1950, "operations": 96_000, "operations_per_second": 96_000}
    assert main(words) == 0
    assert f"more than {TINY}: +0 parameters, +0.000 G" in capsys.readouterr().out


def test_a_decoder_that_is_not_counted_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, pieces = small.ours(vocabulary=30), tokens.tokenizer()
    folder = model_folder.save(
        tmp_path / "whisper", model, model.config, CharacterTokenizer(), card="# A\n", pieces=pieces
    )
    assert main(["flops", str(folder), "--seconds", "1", "--depth", "1"]) == 0
    assert "the decoder is not counted" in capsys.readouterr().out
    assert main(["flops", str(TINY), "--seconds", "1"]) == 0
    assert "the decoder is not counted" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["wav2vec3"], "must be one of wav2vec2-base"),
        (["box", "--convention", "ops"], "--convention must be one of macs, flops, hook"),
        (["box", "--seconds", "0"], "must be 0.025 or more"),
    ],
)
def test_a_sentence_where_it_cannot_be(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flops", *words]) == 2
    assert sentence in capsys.readouterr().err
