"""`noisewise evaluate` from the words of the command line to the files it writes."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from noisewise.audio.waveform import save
from noisewise.cli import main as cli
from noisewise.cli.evaluate import _normaliser
from noisewise.evaluation.systems.protocol import NamedRecogniser

MODULE = """
import sys
VERSIONS = {"my_recogniser": "1"}
def moody(waveforms):
    if len(waveforms) == 1 and len(waveforms[0]) == 3200:
        raise RuntimeError("too short for me")
    if any(len(one) == 3200 for one in waveforms):
        raise RuntimeError("one of them is too short for me")
    return ["YES" for _ in waveforms]
def good(waveforms):
    return ["YES" for _ in waveforms]
def tired(waveforms):
    if tired.done == 3:
        raise KeyboardInterrupt
    tired.done += len(waveforms)
    return ["YES" for _ in waveforms]
tired.done = 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with speech, noise and a program of its own."""
    random = np.random.default_rng(0)
    for name, lengths in {"speech": (3200, 4800, 6400), "noise": (9600,)}.items():
        (tmp_path / name).mkdir()
        lines = ["path\ttext\tlabel\tspeaker"]
        for index, length in enumerate(lengths):
            save(tmp_path / name / f"{index}.wav", random.normal(0, 0.05, length).astype(np.float32))
            lines.append(f"{index}.wav\t{'YES' if index else 'NO'}\tcar\ts{index // 2}")
        (tmp_path / name / "manifest.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "my_recogniser.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("my_recogniser", None)


GOOD = ["evaluate", "speech", "--model", "python:my_recogniser:good", "--noise", "noise"]


def test_the_grid_as_json_tables_and_figure(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    files = ["--markdown", "grid.md", "--latex", "grid.tex", "--figure", "grid.png"]
    assert cli.main([*GOOD, "--snr", "0", "-5", "20", "--output", "out/grid.json", *files]) == 0
    shown = capsys.readouterr()
    values = json.loads((here / "out" / "grid.json").read_text())
    assert [row["condition"]["value"] for row in values["cells"]] == [-5, 0, 20]
    assert values["clean"]["rates"]["wer"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert values["system_details"] == {"my_recogniser": "1"}
    assert shown.out == (here / "grid.md").read_text() and "| car | 33.3 | 33.3 | 33.3 | 33.3 |" in shown.out
    assert (here / "grid.tex").is_file() and (here / "grid.png").is_file()
    assert "car@20: 12 of 12 utterances decoded, 0 failures" in shown.err
    assert [path.name for path in (here / "out").iterdir()] == ["grid.json"], "no partial results are left"


def test_the_stored_command_rebuilds_the_file(here: Path) -> None:
    words = [
        "--snr",
        "0,5",
        "--types",
        "car",
        "--seed",
        "3",
        "--limit",
        "2",
        "--bootstrap",
        "speaker",
        "--bootstrap-samples",
        "99",
    ]
    assert cli.main([*GOOD, *words, "--no-transcripts", "-o", str(here / "a.json")]) == 0
    text = (here / "a.json").read_text()
    values = json.loads(text)
    assert str(here) not in text
    assert values["per_item"]["hypotheses"] is None
    assert [values["config"][name] for name in ("seed", "limit", "bootstrap_unit", "bootstrap_samples")] == [
        3,
        2,
        "speaker",
        99,
    ]
    program, *stored = shlex.split(values["command"])
    assert program == "noisewise"
    (here / "a.json").unlink()
    assert cli.main(stored) == 0
    assert (here / "a.json").read_text() == text


def test_failures_are_said_and_change_the_exit_status(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "speech", "--model", "python:my_recogniser:moody", "-o", "grid.json"]
    assert cli.main(words) == 1
    shown = capsys.readouterr().err
    assert "failed clean 0: RuntimeError: too short for me" in shown
    assert "0 utterances skipped; 1 failures" in shown
    assert json.loads((here / "grid.json").read_text())["clean"]["failures"] == 1


def test_a_program_gives_the_same_as_a_function(here: Path) -> None:
    (here / "say.py").write_text("print('YES')")
    program = ["--model", f"command:{sys.executable} say.py {{}}", "--workers", "2", "--timeout", "50"]
    assert cli.main([*GOOD, "--snr", "0", "-o", "a.json"]) == 0
    assert cli.main([*GOOD[:2], *program, *GOOD[4:], "--snr", "0", "-o", "b.json"]) == 0
    a, b = (json.loads((here / name).read_text()) for name in ("a.json", "b.json"))
    assert a["cells"] == b["cells"] and a["clean"] == b["clean"]
    assert b["system"] == f"command:{Path(sys.executable).name} say.py {{}}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "nowhere", "-m", "python:my_recogniser:good", "-o", "x.json"], "there is no such path"),
        (["evaluate", "speech", "-m", "python:my_recogniser:bad", "-o", "x.json"], "'bad' is none"),
        ([*GOOD, "--types", "rain", "-o", "x.json"], "['rain'] are not"),
        ([*GOOD, "--bootstrap", "word", "-o", "x.json"], "must be auto, utterance, speaker, hierarchical or a column"),
        ([*GOOD, "--limit", "0", "-o", "x.json"], "at least 1"),
        ([*GOOD, "--snr", "nan", "-o", "x.json"], "must be finite"),
    ],
)
def test_a_wrong_request_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert cli.main(words) == 2
    shown = capsys.readouterr()
    assert message in shown.err and shown.err.count("\n") == 1 and shown.out == ""
    assert not (here / "x.json").exists()


def test_an_interrupted_grid_goes_on_or_starts_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*GOOD, "--snr", "0", "-o", "x.json"]
    assert cli.main(words) == 0
    partial = here / ".x.json.partial"
    partial.write_text('{"manifest": "another"}\n')
    assert cli.main(words) == 2
    assert "differs in manifest" in capsys.readouterr().err
    assert cli.main([*words, "--restart"]) == 0
    assert not partial.exists()


def test_ctrl_c_says_how_to_go_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "speech", "-m", "python:my_recogniser:tired", "--noise", "noise", "--snr", "0", "-o", "x.json"]
    assert cli.main(words) not in (0, 2)
    assert "goes on from the last finished condition" in capsys.readouterr().err
    assert len((here / ".x.json.partial").read_text().splitlines()) == 2
    sys.modules["my_recogniser"].__dict__["tired"].done = 0
    assert cli.main(words) == 0, "three utterances were left"


def test_a_terminal_gets_a_bar(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main([*GOOD, "--snr", "0", "-o", "x.json"]) == 0
    shown = capsys.readouterr()
    assert "6/6" in shown.err and "decoded," not in shown.err
    assert shown.out.startswith("| WER (%) |")


def test_the_decoding_is_part_of_the_result_and_of_its_command(
    here: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["evaluate", "speech", "--model", str(model_dir), "--noise", "noise", "--snr", "0"]
    (here / "words.txt").write_text("YES NO")
    assert cli.main([*model, "-o", "greedy.json"]) == 0
    asked = ["--lexicon", str(here / "words.txt"), "--beam", "9", "--hotword", "no=2"]
    assert cli.main([*model, *asked, "-o", "beam.json"]) == 0
    greedy, beam = (json.loads((here / name).read_text()) for name in ("greedy.json", "beam.json"))
    assert list(greedy["system_details"]) == ["weights_sha256"], "greedy decoding goes without saying"
    details = beam["system_details"]
    decoding = json.loads(details["decoding"])
    assert (decoding["search"]["beam"], decoding["lexicon"]) == (9, "words.txt")
    assert len(details["lexicon_sha256"]) == 64
    assert json.loads(details["hotwords"]) == {"NO": 2.0}
    assert "--lexicon=words.txt" in beam["command"] and "--hotword=no=2" in beam["command"]
    assert greedy["clean"]["mixture_sha256"] == beam["clean"]["mixture_sha256"]
    assert set(" ".join(beam["per_item"]["hypotheses"]["clean"]).split()) <= {"YES", "NO"}
    capsys.readouterr()
    assert cli.main([*GOOD, "--decoding", "beam", "-o", "grid.json"]) == 2
    assert "must be of a model folder" in capsys.readouterr().err


def test_a_tagger_is_measured_on_the_same_grid(
    here: Path, tagger_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    (here / "speech" / "clips.tsv").write_text("path\tsound\n0.wav\tdog\n1.wav\tsea\n2.wav\tcow\n")
    words = ["evaluate", "speech/clips.tsv", "--model", str(tagger_dir), "--label-column", "sound", "--noise", "noise"]
    files = ["--markdown", "grid.md", "--latex", "grid.tex", "--figure", "grid.png"]
    assert cli.main([*words, "--snr", "0", "20", "--output", "grid.json", *files]) == 1
    shown = capsys.readouterr()
    assert shown.out == (here / "grid.md").read_text() and "| accuracy (%) | 0 dB | 20 dB | mean |" in shown.out
    assert "| mAP (%) | 0 dB | 20 dB | mean |" in shown.out and (here / "grid.png").is_file()
    assert "skipped 2: it must have labels" in shown.err
    values = json.loads((here / "grid.json").read_text())
    assert values["task"] == "tagging" and values["items"] == 2
    assert [cell["condition"]["value"] for cell in values["cells"]] == [0, 20]
    text = (here / "grid.json").read_text()
    rebuilt = shlex.split(values["command"])[1:]
    assert cli.main([str(tagger_dir) if word == "tagger" else word for word in rebuilt]) == 1
    assert (here / "grid.json").read_text() == text
    for option in (["--beam", "5"], ["--cache", "texts.jsonl"]):
        assert cli.main([*words, *option, "--output", "other.json"]) == 2
        assert "must come with a recogniser, but --model is a tagger" in capsys.readouterr().err


def test_what_the_normaliser_removes_is_said_and_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "speech" / "manifest.tsv").write_text("path\ttext\n0.wav\tYES 6 2\n1.wav\tда\n2.wav\tYES\n")
    words = ["evaluate", "speech", "--model", "python:my_recogniser:good"]
    assert cli.main([*words, "--output", "one.json"]) == 1
    err = capsys.readouterr().err
    assert "2 spoken characters of the references were removed" in err and "2 (1), 6 (1)" in err
    assert "skipped 1: " in err and "'да'" in err
    assert json.loads(Path("one.json").read_text())["lost"] == {"references": {"2": 1, "6": 1}}
    assert cli.main([*words, "--output", "two.json", "--normaliser", "unicode"]) == 0
    assert "removed" not in capsys.readouterr().err
    found = json.loads(Path("two.json").read_text())
    assert found["normaliser"] == "noisewise-unicode-1" and "--normaliser unicode" in found["command"]
    assert cli.main([*words, "--output", "three.json", "--normaliser", "latin"]) == 2
    assert "normaliser" in capsys.readouterr().err


def test_a_model_with_other_letters_chooses_the_normaliser(capsys: pytest.CaptureFixture[str]) -> None:
    german = NamedRecogniser("m", lambda waveforms: [], normaliser="german")
    plain = NamedRecogniser("m", lambda waveforms: [])
    assert _normaliser(german, None) == "german" and "by --normaliser german" in capsys.readouterr().err
    assert _normaliser(german, "english") == "english" and "choose --normaliser german" in capsys.readouterr().err
    assert _normaliser(german, "unicode") == "unicode" and _normaliser(plain, None) == "english"
    assert _normaliser(plain, "english") == "english" and not capsys.readouterr().err


def test_words_with_times_of_a_model_for_sclite(here: Path, model_dir: Path) -> None:
    command = ["evaluate", "speech", "--model", str(model_dir), "--noise", "noise", "--snr", "5", "-o", "grid.json"]
    assert cli.main([*command, "--ctm", "ctm"]) == 0
    assert {path.name for path in Path("ctm").iterdir()} == {"reference.stm", "clean.ctm", "car@5.ctm"}
    hypotheses = json.loads(Path("grid.json").read_text())["per_item"]["hypotheses"]
    for condition, texts in hypotheses.items():
        lines = [line.split() for line in Path(f"ctm/{condition}.ctm").read_text().splitlines()]
        assert [line[4] for line in lines] == " ".join(texts).split()
        assert all(float(start) >= 0 and float(length) > 0 for _, _, start, length, *_ in lines)
