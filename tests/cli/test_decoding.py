"""The options of decoding: what they make of what a model's folder says."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from noisewise.audio.waveform import save
from noisewise.checkpoints import model_folder
from noisewise.cli.decoding import DecodingOptions, with_decoding
from noisewise.cli.main import main
from noisewise.decoding import saved_config as default
from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.rescoring import RescoringConfig
from noisewise.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig, tiny
from noisewise.models.logmel_transformer import tiny as tiny_encoder
from noisewise.text.tokenizer import CharacterTokenizer

JOINT = DecodingConfig(attention=JointConfig(beam=3, ctc_weight=0.6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an attention decoder, and decoding.json."""
    config = EncoderDecoderConfig(encoder=tiny_encoder(), decoder=tiny())
    found = tmp_path_factory.mktemp("models") / "model"
    model_folder.save(found, EncoderDecoder(config), config, CharacterTokenizer(), card="# For tests\n")
    default.write(found, JOINT)
    return found


def attending(**values: object) -> DecodingConfig:
    assert JOINT.attention is not None
    return replace(JOINT, attention=replace(JOINT.attention, **values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"decoding": "greedy"}, "greedy"),
        ({"decoding": "beam", "beam": 7}, DecodingConfig(search=BeamConfig(beam=7))),
        ({"decoding": "joint"}, JOINT),
        ({"decoding": "attention"}, attending(ctc_weight=0.0)),
        ({"decoding": "rescoring", "beam": 20, "nbest": 5}, attending(mode="rescoring", beam=20, nbest=5)),
        ({"nbest": 5}, attending(nbest=5, beam=5)),
        ({"ctc_weight": 0.2, "length_bonus": 1.5}, attending(ctc_weight=0.2, bonus=1.5)),
        ({"lexicon": Path("words")}, replace(JOINT, lexicon="words")),
    ],
)
def test_options_change_what_the_folder_says(given: dict[str, object], expected: object, folder: Path) -> None:
    assert DecodingOptions(**given).chosen(str(folder)) == expected  # type: ignore[arg-type]


def test_a_model_with_attention_searches_with_it_even_if_its_folder_says_nothing(
    folder: Path, model_dir: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / "decoding.json").unlink()
    assert DecodingOptions(nbest=2).chosen(str(bare)) == DecodingConfig(attention=JointConfig(nbest=2))
    assert DecodingOptions(nbest=2).chosen(str(model_dir)) == DecodingConfig(search=BeamConfig(nbest=2))


def test_a_command_gets_them_all_at_once() -> None:
    seen: list[DecodingOptions] = []

    @with_decoding
    def command(name: str, many: int = 3, *, options: DecodingOptions) -> None:
        """What it does."""
        seen.append(options)
        print(name, many)

    app = typer.Typer()
    app.command()(command)
    asked = ["x", "--beam", "9", "--hotword", "anna", "--hotword", "bert=2", "--ctc-weight", "0.5", "--lm", "a.arpa"]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0 and shown.output == "x 3\n"
    assert seen == [DecodingOptions(beam=9, hotword=["anna", "bert=2"], ctc_weight=0.5, lm=Path("a.arpa"))]
    assert seen[0].boosts() == {"anna": None, "bert": 2.0}
    assert seen[0].words() == ["--beam=9", "--ctc-weight=0.5", "--lm=a.arpa", "--hotword=anna", "--hotword=bert=2"]
    assert "What it does." in CliRunner().invoke(app, ["--help"]).output


def test_further_readings_are_in_the_json(tmp_path: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "b.wav", np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32))
    asked = ["transcribe", str(tmp_path / "b.wav"), "--model", str(model_dir), "--format", "json"]
    assert main([*asked, "--nbest", "4"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["transcripts"]
    texts = [found["text"], *(each["text"] for each in found["alternatives"])]
    assert 1 < len(texts) <= 4 and len(set(texts)) == len(texts)
    scores = [each["score"] for each in found["alternatives"]]
    assert scores == sorted(scores, reverse=True)
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["transcripts"][0]["alternatives"] == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rescore": Path("lm")}, RescoringConfig(lm="lm")),
        (
            {"rescore": Path("lm"), "rescore_weight": 0.1, "rescore_bonus": 0.2, "rescore_nbest": 7, "lm": Path("a")},
            RescoringConfig(lm="lm", weight=0.1, bonus=0.2, nbest=7),
        ),
    ],
)
def test_a_second_pass(given: dict[str, object], expected: RescoringConfig, tmp_path: Path) -> None:
    chosen = DecodingOptions(**given).chosen(str(tmp_path / "none"))  # type: ignore[arg-type]
    assert isinstance(chosen, DecodingConfig)
    assert chosen.rescoring == expected and chosen.lm == (None if "lm" not in given else "a")


def test_a_second_pass_changes_what_the_folder_says(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "second.arpa").write_text("")
    rescoring = RescoringConfig(lm=str(tmp_path / "second.arpa"), weight=0.25, keep_fusion=False)
    default.write(tmp_path / "model", DecodingConfig(rescoring=rescoring))
    chosen = DecodingOptions(rescore_weight=0.75).chosen(str(tmp_path / "model"))
    assert isinstance(chosen, DecodingConfig) and chosen.rescoring is not None
    assert (chosen.rescoring.weight, chosen.rescoring.keep_fusion) == (0.75, False)
    assert chosen.rescoring.lm == str(tmp_path / "model" / "rescoring_lm.arpa")
    with pytest.raises(ValueError, match="--rescore-nbest must come with a second language model"):
        DecodingOptions(rescore_nbest=3).chosen(str(folder))
    with pytest.raises(ValueError, match="`rescoring` must be left out with `attention`"):
        DecodingOptions(rescore=Path("lm")).chosen(str(folder))
