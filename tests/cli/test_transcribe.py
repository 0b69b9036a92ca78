"""`noisewise transcribe` from the words of the command line to files and exit status."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.audio import waveform
from noisewise.cli.main import main
from noisewise.inference.sources import Input
from noisewise.inference.transcript import Transcript


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
    recordings: Path,
    model_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("noisewise.decoding.fusion.hotwords.LIMIT", 1000.0)  # untrained: no bounded boost prevails
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


def test_a_run_that_was_ended_goes_on_where_it_was(
    recordings: Path,
    model_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from noisewise.inference.recogniser import Recogniser

    original, done = Recogniser.each, list[str]()

    def dying(self: Recogniser, inputs: list[Input], **options: Any) -> Iterator[tuple[int, Transcript]]:
        for item in original(self, inputs, **options):
            done.append(item[1].source)
            yield item
            if len(done) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(Recogniser, "each", dying)
    for name, left in (("all.json", ".all.json.noisewise-progress.jsonl"), ("out", "out/.noisewise-progress.jsonl")):
        done.clear()
        words = ["transcribe", str(recordings), "--model", str(model_dir), "--format", "json"]
        words += ["--output", str(tmp_path / name)]
        assert main(words) == 130
        assert ((tmp_path / left).is_file() and not (tmp_path / "all.json").is_file()) or name == "out"
        assert main([*words, "--resume"]) == 0
        assert len(done) == 2 == len({*done}), "each recording goes through the model once"
        assert main([*words, "--resume"]) == 0 and len(done) == 2
        assert main([*words, "--resume", "--window-seconds", "0.5"]) == 0 and len(done) == 4
        assert main(words) == 0 and len(done) == 6
        assert not (tmp_path / left).exists()
    whole = json.loads((tmp_path / "all.json").read_text())["transcripts"]
    apart = [json.loads((tmp_path / "out" / f"{name}.json").read_text())["transcripts"][0] for name in ("b", "A")]
    assert whole == apart
    assert main(["transcribe", str(recordings), "--resume"]) == 2
    assert "--resume must come with --output" in capsys.readouterr().err


def test_channels_cut_recordings_and_manifests(
    recordings: Path, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import soundfile

    random = np.random.default_rng(0)
    turns = np.repeat(np.arange(4) % 2, 16_000)
    sides = 0.1 * random.standard_normal((64_000, 2)) * np.stack([turns, 1 - turns], axis=1)
    soundfile.write(tmp_path / "call.wav", sides + 1e-5 * random.standard_normal(sides.shape), 16_000)
    model = ["--model", str(model_dir), "--format", "json"]
    for words, channels in (([], [1, 2]), (["--channels", "mix"], [None]), (["--channels", "2"], [2])):
        assert main(["transcribe", str(tmp_path / "call.wav"), *model, *words]) == 0
        assert [each["channel"] for each in json.loads(capsys.readouterr().out)["transcripts"]] == channels
    assert main(["transcribe", str(tmp_path / "call.wav"), *model, "--channels", "left"]) == 2
    assert "--channels must be auto, mix, split or numbers" in capsys.readouterr().err
    content = (recordings / "b.wav").read_bytes()
    (recordings / "cut.wav").write_bytes(content[: len(content) // 2])
    (recordings / "list.tsv").write_text("path\tstart\tduration\ncut.wav\t\t\nb.wav\t0.5\t0.5\nnone.wav\t\t\n")
    assert main(["transcribe", str(recordings / "list.tsv"), *model]) == 1
    shown = capsys.readouterr()
    cut, part, missing = json.loads(shown.out)["transcripts"]
    assert cut["truncated"] and cut["words"] and "what is there was used" in cut["error"]
    assert (part["start"], part["duration"], part["error"]) == (0.5, 0.5, None)
    assert all(0.5 <= word["start"] <= 1.0 for word in part["words"])
    assert "no such file" in missing["error"] and len(shown.err.splitlines()) == 2
    assert main(["transcribe", str(recordings / "cut.wav"), *model, "--strict"]) == 1
    assert not json.loads(capsys.readouterr().out)["transcripts"][0]["words"]


def test_nothing_is_loaded_when_nothing_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", "none.wav", "nothing.flac", "--model", "nowhere"]) == 1
    assert capsys.readouterr().err.count("no such file") == 2


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A function as a recogniser, which tells the length of what it is given."""
    (tmp_path / "recogniser_of_lengths.py").write_text(
        "def lengths(waveforms):\n    return [f'{len(each) / 16000:g} seconds' for each in waveforms]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "python:recogniser_of_lengths:lengths"


def test_any_recogniser_transcribes(recordings: Path, mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["transcribe", str(recordings), "--model", mine]
    assert main([*words, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["transcripts"]
    assert [each["text"] for each in found] == ["1.5 seconds", "1 seconds"]
    assert found[0]["words"] == [] == found[0]["segments"]
    assert main([*words, "--format", "tsv", "--output", "out.tsv"]) == 0
    assert main([*words, "--format", "tsv", "--output", "out.tsv", "--resume"]) == 0
    assert "1.5 seconds" in Path("out.tsv").read_text()


def test_times_that_a_recogniser_does_not_tell_are_said(
    recordings: Path, mine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["transcribe", str(recordings / "b.wav"), "--model", mine]
    assert main([*words, "--format", "srt"]) == 2
    assert "srt must have times, but `python:recogniser_of_lengths:lengths` tells none" in capsys.readouterr().err
    assert main([*words, "--format", "srt", "--window-seconds", "1"]) == 0
    assert "00:00:00,000 --> " in capsys.readouterr().out
    assert main([*words, "--format", "ctm", "--window-seconds", "1"]) == 2
    assert "ctm must have the times of words" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--beam", "4"], "decoding and hotwords must be of a model folder"),
        (["--hotword", "GO"], "decoding and hotwords must be of a model folder"),
        (["--least-confidence", "0.5"], "--least-confidence must come with confidences"),
    ],
)
def test_what_only_noisewise_models_do_is_refused(
    recordings: Path, mine: str, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", str(recordings / "b.wav"), "--model", mine, *more]) == 2
    assert message in capsys.readouterr().err


def test_segments_become_subtitles_and_tiers() -> None:
    from noisewise.decoding.hypothesis import Segment
    from noisewise.inference.transcript import render

    one = Transcript("a.wav", "GO ON", duration=3.0, segments=[Segment("GO ON", 1.0, 3.0)])
    assert "00:00:01,000 --> 00:00:03,200\nGO ON" in render([one], "srt")
    assert 'name = "segments"' in render([one], "textgrid") and "SPEAKER a 1 1.000 2.000" in render([one], "rttm")
    assert Transcript.from_dict(one.to_dict()) == one
