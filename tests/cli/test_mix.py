import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.cli.main import main


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, str]:
    for name, count in (("speech", 2), ("noise/car", 1), ("noise/cafe", 1)):
        (tmp_path / name).mkdir(parents=True)
        for index in range(count):
            wave = 0.1 * np.random.default_rng(len(name) + index).standard_normal(8000)
            soundfile.write(tmp_path / name / f"{index}.wav", wave, 16_000)
    (tmp_path / "noise/manifest.tsv").write_text("path\tlabel\ncar/0.wav\tcar\ncafe/0.wav\tcafe\n")
    return str(tmp_path / "speech"), str(tmp_path / "noise")


def test_write_verify_rebuild(sources: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    assert main(["mix", *sources, str(out), "--snr", "0", "12.5", "--seed", "4"]) == 0
    assert "8 mixtures" in capsys.readouterr().out
    assert main(["mix", "--verify", str(out)]) == 0
    assert "8 of 8 files agree" in capsys.readouterr().out
    assert main(["mix", *sources, str(again), "--rebuild", str(out / "ledger.jsonl")]) == 0
    for path in out.rglob("*.flac"):
        assert path.read_bytes() == (again / path.relative_to(out)).read_bytes()


def test_negative_ratios_and_types(sources: tuple[str, str], tmp_path: Path) -> None:
    assert main(["mix", *sources, str(tmp_path / "out"), "--snr", "-5", "0", "--types", "car"]) == 0
    assert sorted(path.name for path in (tmp_path / "out/car").iterdir()) == ["-5", "0"]
    assert not (tmp_path / "out/cafe").exists()


def test_compat_tells_the_true_ratio_and_is_rebuilt(
    sources: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    assert main(["mix", *sources, str(out), "--snr", "0", "20", "--compat"]) == 0
    assert "dB for 20 (compat" in capsys.readouterr().out
    header, *entries = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    assert header["compat"] is True and "square root" in header["formula"]
    for entry in entries:  # speech and noise are equally loud here
        assert entry["measured_snr_db"] == pytest.approx(entry["snr_db"] / 2, abs=0.5)
    assert main(["mix", *sources, str(again), "--rebuild", str(out / "ledger.jsonl")]) == 0
    assert main(["mix", "--verify", str(again)]) == 0


def test_a_damaged_set_gives_status_1(
    sources: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(["mix", *sources, str(out), "--snr", "0"])
    (out / "car/0/0.flac").unlink()
    assert main(["mix", "--verify", str(out)]) == 1
    shown = capsys.readouterr()
    assert "3 of 4 files agree" in shown.out and "missing" in shown.err


def test_a_bad_utterance_gives_status_1(
    sources: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "speech/1.wav").write_bytes(b"")
    assert main(["mix", *sources, str(tmp_path / "out"), "--snr", "0"]) == 1
    assert "empty" in capsys.readouterr().err
    assert (tmp_path / "out/rejected.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b"], "must get SPEECH NOISE OUT, but got 2 paths"),
        (["a", "--verify", "b"], "must get no other path"),
        (["--verify", "nowhere"], "must be a ledger"),
        (["nowhere", "b", "c"], "no such path"),
    ],
)
def test_a_wrong_request_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mix", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
