"""`noisewise transcribe` from the words of the command line to files and exit status."""

import json
from pathlib import Path

import numpy as np
import pytest

from noisewise.audio import waveform
from noisewise.cli.main import main


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with two recordings, one of them deeper, and a file that is none."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    random = np.random.default_rng(0)
    for seconds, name in ((1.5, "b.wav"), (1.0, "deep/A.FLAC")):
        waveform.save(folder / name, (0.1 * random.standard_normal(round(16_000 * seconds))).astype(np.float32))
    (folder / "notes.txt").write_text("no audio")
    return folder


def test_a_folder_as_json(recordings: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", str(recordings), "--model", str(model_dir), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["transcripts"]
    assert [Path(each["source"]).name for each in found] == ["b.wav", "A.FLAC"]
    assert [each["duration"] for each in found] == [1.5, 1.0]
    assert all({"text", "start", "end", "confidence"} == set(word) for each in found for word in each["words"])


def test_a_bad_file_is_named_and_the_rest_is_written(
    recordings: Path, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    (recordings / "broken.wav").write_bytes(b"RIFF....WAVE")
    words = [
        "transcribe",
        str(recordings),
        "--model",
        str(model_dir),
        "--format",
        "srt",
        "--output",
        str(output),
    ]
    assert main(words) == 1
    assert sorted(path.name for path in output.iterdir()) == ["A.srt", "b.srt"]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "broken.wav" in shown.err
    assert shown.err.count("\n") == 1


def test_one_file_as_text(recordings: Path, model_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "made" / "b.txt"
    assert main(["transcribe", str(recordings / "b.wav"), "--model", str(model_dir), "--output", str(output)]) == 0
    assert output.read_text().endswith("\n")


def test_requests_that_cannot_be_met(
    recordings: Path, tmp_path: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    two = [str(recordings), "--model", str(model_dir)]
    for words, sentence in (
        ([*two, "--format", "docx"], "--format must be one of txt, json"),
        ([*two, "--format", "srt"], "srt holds one recording, but 2 were given"),
        ([*two, "--model", "nowhere"], "`nowhere` must be 'box' or the folder"),
        ([*two, "--batch-seconds", "0"], "`batch_seconds` must be more than 0"),
        ([str(tmp_path / "empty")], "must hold audio files, but holds none"),
    ):
        assert main(["transcribe", *words]) == 2
        shown = capsys.readouterr()
        assert sentence in shown.err
        assert shown.err.count("\n") == 1
        assert shown.out == ""


def test_the_decoding_and_hotwords_that_are_asked_for(
    recordings: Path, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["transcribe", str(recordings / "b.wav"), "--model", str(model_dir)]
    (tmp_path / "words.txt").write_text("ANNA BERT")
    said = []
    for words in (
        [],
        ["--decoding", "greedy"],
        ["--lexicon", str(tmp_path / "words.txt"), "--beam", "20"],
        ["--hotword", "zq=40", "--hotword", "new york"],
    ):
        assert main([*one, *words]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert set(said[2].split()) <= {"ANNA", "BERT"}
    assert "ZQ" in said[3].split()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--decoding", "best"], "--decoding must be greedy, beam, joint, attention or rescoring"),
        (["--decoding", "joint"], "`attention` must be left out for a model without"),
        (["--decoding", "beam", "--ctc-weight", "0.2"], "--decoding must be joint or rescoring with --ctc-weight"),
        (["--decoding", "attention", "--ctc-weight", "0.2"], "--ctc-weight must be 0 with attention alone"),
        (["--decoding", "greedy", "--lm-weight", "2"], "must be beam with --lm-weight"),
        (["--lm-weight", "2"], "must come with a language model"),
        (["--lm", "none.arpa"], "no such file"),
        (["--lexicon", "none.txt"], "no such file"),
        (["--beam", "0"], "`beam` must be 1 or more"),
        (["--hotword", "anna=x"], "WORD=BOOST"),
        (["--hotword", "42"], "hotwords must be words"),
    ],
)
def test_decodings_that_cannot_be(
    words: list[str], sentence: str, recordings: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", str(recordings / "b.wav"), "--model", str(model_dir), *words]) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.err.count("\n") == 1


def test_sounds_are_named_beside_the_words(
    recordings: Path, model_dir: Path, tagger_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recordings / "broken.wav").write_bytes(b"RIFF....WAVE")
    words = ["transcribe", str(recordings), "--model", str(model_dir), "--format"]
    assert main([*words, "json", "--tag", str(tagger_dir)]) == 1
    tagged = json.loads(capsys.readouterr().out)["transcripts"]
    assert main([*words, "json"]) == 1
    plain = json.loads(capsys.readouterr().out)["transcripts"]
    sounds = [each.pop("sounds", None) for each in tagged]
    assert [each.pop("sounds") for each in plain] == [None] * 3
    assert tagged == plain
    assert sounds[1] is None and sounds[0]["tags"][0]["probability"] >= sounds[0]["tags"][-1]["probability"] >= 0.1
    assert sounds[2]["windows"][0]["end"] == 1.0
    first = "{label} {probability:.2f}".format(**sounds[0]["tags"][0])
    assert main([*words, "txt", "--tag", str(tagger_dir)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t")[2].startswith(f"[{first}") and len(lines[1].split("\t")) == 2
    assert main(["transcribe", str(recordings / "b.wav"), *words[2:], "txt", "--tag", str(tagger_dir)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f"[{first}")
    assert main([*words, "tsv", "--tag", str(tagger_dir)]) == 1
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][-1] == "sounds" and rows[1][-1].startswith(first) and rows[2][-1] == ""
    for more, sentence in (
        (["ctm"], "--tag must come with --format txt, tsv, csv, json"),
        (["txt"], "must hold a tagger"),
    ):
        assert main([*words, *more, "--tag", str(model_dir)]) == 2
        assert sentence in capsys.readouterr().err


def test_noise_alone_gives_no_words_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from noisewise.cli.transcribe import warn
    from noisewise.decoding.hypothesis import Word
    from noisewise.inference.transcript import Transcript

    unsure, sure = Word("S", 0.0, 0.1, 0.3), Word("SIX", 1.0, 1.3, 0.9)
    warn([Transcript("noise.wav", left_out=[unsure]), Transcript("good.wav", "SIX", [sure], 2.0, 0.9)])
    warn([Transcript("poor.wav", "S", [unsure], 2.0, 0.5)])
    none, poor = capsys.readouterr().err.splitlines()
    assert "noise.wav: no speech found" in none and "--least-confidence 0" in none
    assert "poor.wav: confidence is low (0.50)" in poor
