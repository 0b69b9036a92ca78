"""`noisewise inspect`: what it writes for a run that knows its teacher and its data, and for one that does not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from noisewise.checkpoints import model_folder
from noisewise.cli.inspect import FILES
from noisewise.cli.main import main
from noisewise.models.wav2code.codebook_learning import CodebookLearning, CodebookLearningConfig
from noisewise.models.wav2code.predictor import NearestConfig
from noisewise.models.wav2code.wav2code import Wav2Code, Wav2CodeConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd
from noisewise.text.tokenizer import CharacterTokenizer
from tests.corpus import write_corpus

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
ENCODER = Wav2Vec2Config(
    front_end=LogMelFrontEnd(bins=40, channels=16), dim=16, layers=1, heads=2, feed_forward=32, position_kernel=8,
    position_groups=4,
)  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """runs/codebook and runs/wav2code, random, and the corpus that the second knows."""
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    second = CodebookLearningConfig(encoder=ENCODER, codes=12)
    model_folder.save("runs/codebook/best", CodebookLearning(second), second, None, card="")
    recipe = {
        "task": {"teacher": "runs/codebook/best"},
        "validation": {"manifests": ["corpus"], "noise": {"manifest": "noise"}},
    }
    save("wav2code", Wav2CodeConfig(encoder=ENCODER, codes=12), {"recipe": recipe})
    return tmp_path / "runs"


def save(name: str, config: Wav2CodeConfig, about: dict[str, Any]) -> None:
    model_folder.save(f"runs/{name}/best", Wav2Code(config), config, CharacterTokenizer(), card="", about=about)


def test_numbers_and_figures_are_written(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("other", Wav2CodeConfig(encoder=ENCODER, codes=12, predictor=NearestConfig()), {})
    assert main(["inspect", "runs/wav2code", "--snr", "0", "10", "--limit", "2", "--also", "runs/other"]) == 0
    folder = runs / "wav2code" / "inspection"
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in FILES[1:])
    values = json.loads((folder / "inspection.json").read_text())
    assert values["conditions"] == ["0", "10", "clean"] and len(values["utterances"]) == 2
    assert set(values["accuracy"]) == {"nearest", "nearest by teacher", "transformer (wav2code)", "nearest (other)"}
    assert values["about"]["teacher"] == "runs/codebook/best" and values["about"]["manifest"] == "corpus"
    out = capsys.readouterr().out
    assert "frames with the clean code (%)" in out and "runs/wav2code/inspection/codes.png" in out


def test_options_stand_for_what_a_model_does_not_know(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("bare", Wav2CodeConfig(encoder=ENCODER, codes=12), {})
    words = ["inspect", "runs/bare/best", "--output", "out", "--limit", "1", "--snr", "0"]
    assert main(words) == 2
    assert "--teacher must be given" in capsys.readouterr().err
    assert main([*words, "--teacher", "runs/codebook"]) == 2
    assert "--manifest must be given" in capsys.readouterr().err
    words += ["--teacher", "runs/codebook", "--manifest", "corpus", "--noise", "noise", "--types", "babble"]
    assert main(words) == 0
    assert json.loads(Path("out/inspection.json").read_text())["noise_types"] == ["babble"]
