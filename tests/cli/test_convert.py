"""The verb convert: its report beside transformers, its exit status, and errors of one line."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import noisewise
from noisewise.cli.main import main
from tests.checkpoints.foreign.conftest import Maker, a_folder

__all__ = ["a_folder"]

RECORDINGS = sorted((Path(noisewise.__file__).parent / "assets" / "recordings").glob("*.flac"))


def test_transcribe_takes_a_folder_of_transformers(a_folder: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", str(RECORDINGS[0]), "--model", str(a_folder())]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("kind", ["ForCTC", "Model"])
def test_check(kind: str, a_folder: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    source = a_folder(kind)
    assert main(["convert", str(source), "--check", "--audio", str(RECORDINGS[0])]) == 0
    assert "agrees with transformers within 0.0001" in capsys.readouterr().out


def test_check_of_a_converted_model_notices_a_difference(
    a_folder: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    assert main(["convert", str(a_folder()), str(own), "--check", "--audio", str(RECORDINGS[0])]) == 0
    from noisewise.checkpoints.foreign import huggingface_folder

    whole = huggingface_folder.write

    def wrong(folder: Path, checkpoint: object) -> None:
        whole(folder, checkpoint)  # type: ignore[arg-type]
        state = load_file(folder / "model.safetensors")
        state["lm_head.bias"] += 0.01
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    monkeypatch.setattr(huggingface_folder, "write", wrong)
    assert main(["convert", str(own), "--check", "--audio", str(RECORDINGS[0])]) == 1
    assert "DIFFERS from transformers" in capsys.readouterr().out


def test_what_cannot_be_converted_is_one_line(
    a_folder: Maker, tmp_path: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = a_folder("Model")
    cases = {
        "must hold CTC over a wav2vec 2.0 encoder of the waveform, but holds ctc over logmel": [
            str(model_dir),
            str(tmp_path / "out"),
            "--to",
            "huggingface",
        ],
        "must hold a CTC head": [str(encoder), str(tmp_path / "out")],
        "must be a new folder": [str(encoder), str(tmp_path), "--to", "huggingface"],
        "--to must be one of": [str(encoder), str(tmp_path / "out"), "--to", "onnx"],
        "`OUT` must be given": [str(encoder)],
        "there is no such folder": [str(tmp_path / "nowhere"), str(tmp_path / "out")],
    }
    for message, words in cases.items():
        assert main(["convert", *words]) == 2
        shown = capsys.readouterr().err
        assert message in shown and shown.count("\n") == 1
    assert not (tmp_path / "out").exists()
