"""Degraded speech: what a system is given, that it is the same for all, and what the file holds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.audio.degrade import DEGRADATIONS
from noisewise.audio.waveform import load, save
from noisewise.cli import main as cli
from noisewise.errors import NoisewiseError
from noisewise.evaluation.conditions import in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.degradations import degraded, parse_levels
from noisewise.evaluation.evaluate import evaluate
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.systems.protocol import NamedRecogniser, Waveform
from noisewise.reports import tables as table
from noisewise.reports.comparison import compare

LEVELS = {"loss": [100.0, 20.0], "clip": [12.0]}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    random = np.random.default_rng(0)
    lines = ["path\ttext"]
    for index in range(3):
        save(folder / f"u{index}.flac", (0.05 * random.standard_normal(4000 + 1600 * index)).astype(np.float32))
        lines.append(f"u{index}.flac\tA B")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


class Recording:
    """Transcribes what is not silent, and keeps it."""

    def __init__(self) -> None:
        self.given: list[Waveform] = []

    def __call__(self, waveforms: list[Waveform]) -> list[str]:
        self.given += waveforms
        return ["A B" if one.any() else "" for one in waveforms]


def run(speech: Path, recording: Recording | None = None, **options: Any) -> GridResult:
    running = {name: options.pop(name) for name in ("batch_seconds", "partial") if name in options}
    config = GridConfig(manifest=str(speech), levels=LEVELS, **options)
    return evaluate(NamedRecogniser("mine", recording or Recording()), config, **running)


def test_every_level_is_decoded_and_counted(speech: Path) -> None:
    recording = Recording()
    result = run(speech, recording)
    assert [(row.condition.name, row.condition.value, row.wer) for row in result.rows.values()] == [
        ("clean", None, 0.0), ("loss", 100, 1.0), ("loss", 20, 0.0), ("clip", 12, 0.0),
    ]  # fmt: skip
    assert (result.config.noise, result.noise_types, result.degradations) == (None, [], ["loss", "clip"])
    assert {name: average.wer for name, average in result.averages.items()} == {"loss": 0.5, "clip": 0.0}
    clean = [load(speech / f"u{index}.flac") for index in range(3)]
    for index in range(3):
        assert np.array_equal(recording.given[index], clean[index]) and not recording.given[3 + index].any()
        lost = recording.given[6 + index] == 0
        assert np.array_equal(recording.given[6 + index][~lost], clean[index][~lost])
        assert np.abs(recording.given[9 + index]).max() == pytest.approx(
            np.abs(clean[index]).max() * 10**-0.6, rel=1e-4
        )


def test_what_is_drawn_depends_on_seed_and_utterance_alone(speech: Path) -> None:
    one, other = run(speech), run(speech, batch_seconds=0.1)
    assert [row.mixture_sha256 for row in one.cells] == [row.mixture_sha256 for row in other.cells]
    changed = run(speech, seed=1)
    same = [a.mixture_sha256 == b.mixture_sha256 for a, b in zip(one.cells, changed.cells, strict=True)]
    assert same == [True, False, True], "all lost, and nothing drawn, are the same under any seed"
    clean = load(speech / "u0.flac")
    assert not np.array_equal(degraded("u0", "loss", 50, clean, 0), degraded("u1", "loss", 50, clean, 0))


def test_an_interrupted_run_goes_on_and_is_no_noise_grid(speech: Path, tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    run(speech, partial=partial)
    recording = Recording()
    assert run(speech, recording, partial=partial) == run(speech) and recording.given == []
    with pytest.raises(NoisewiseError, match="differs in seed"):
        run(speech, partial=partial, seed=1)


def test_the_file_table_and_comparison(speech: Path, tmp_path: Path) -> None:
    result = run(speech)
    result.save(tmp_path / "r.json")
    found = GridResult.load(tmp_path / "r.json")
    text = table.markdown([found])
    assert "| loss | 20 % | 0.0 (0.0 to 0.0) |" in text and "| loss | mean | 50.0 (50.0 to 50.0) |" in text
    assert table.markdown([found, found]).splitlines()[0] == "| WER (%) | clean | loss | clip |"
    comparison = compare([found, result], ["a", "b"])
    assert list(comparison.lines) == ["clean", "loss@100", "loss@20", "clip@12", "clip", "loss"]
    noise = replace(result, cells=[replace(row, condition=in_noise("loss", 20)) for row in result.cells[1:2]])
    with pytest.raises(NoisewiseError, match="share none"):
        compare([found, noise], ["a", "b"])


def test_levels_are_read_as_they_are_written() -> None:
    assert parse_levels(["clip,reverb", "loss=5,50,5"]) == {
        "clip": [6, 12, 18, 24], "reverb": [0.3, 0.6, 0.9, 1.2], "loss": [5, 50],
    }  # fmt: skip
    assert list(parse_levels(["codec"])) == ["mulaw", "opus", "vorbis", "mp3"]
    assert list(parse_levels(["all"])) == list(DEGRADATIONS)
    for words, message in {
        ("echo",): "must be one of",
        ("clip=loud",): "NAME=LEVEL",
        ("clip=90",): "between 0 and 60 dB",
        ("",): "there are none",
    }.items():
        with pytest.raises(NoisewiseError, match=message):
            parse_levels(words)


def test_the_command(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def it(waveforms):\n    return ['A'] * len(waveforms)\n")
    words = ["evaluate", str(speech), "--model", "python:mine:it", "--degrade", "clip=6,12", "--degrade", "mulaw"]
    assert cli.main([*words, "-o", "d.json", "--figure", "d.png"]) == 0
    values = json.loads((tmp_path / "d.json").read_text())
    keys = [(row["condition"]["name"], row["condition"]["value"]) for row in values["cells"]]
    assert keys == [("clip", 6), ("clip", 12), ("mulaw", 8)]
    assert "--degrade clip=6,12 --degrade mulaw=8" in values["command"] and "--snr" not in values["command"]
    assert (tmp_path / "d.png").is_file()
    assert cli.main([*words, "--noise", str(speech), "-o", "e.json"]) == 2
    assert cli.main([*words, "--degrade", "echo", "-o", "e.json"]) == 2
    assert not (tmp_path / "e.json").exists()
