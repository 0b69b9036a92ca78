"""What a command line names, as recordings."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from noisewise.audio import waveform
from noisewise.cli.inputs import RawSamples, entries, raw_samples, rows
from noisewise.errors import NoisewiseError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings, hidden ones, and what is left behind by a run that was killed."""
    tone = np.sin(np.arange(16_000) / 9).astype(np.float32)
    for name in ("a.wav", "deep/b.flac", ".hidden.wav", ".cache/c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        waveform.save(tmp_path / name, tone)
    (tmp_path / ".d.wav.0123456789ab.partial").write_bytes(b"RIFF")
    (tmp_path / "e.raw").write_bytes(bytes(3200))
    return tmp_path


def test_a_folder_is_its_audio_without_what_is_hidden(folder: Path) -> None:
    assert [Path(each.name).name for each in entries([str(folder)])] == ["a.wav", "b.flac"]
    (raw,) = entries([str(folder)], RawSamples(16_000))
    assert raw.input.seconds == pytest.approx(0.1)


def test_tables_name_recordings_and_parts_of_them(folder: Path) -> None:
    (folder / "t.tsv").write_text("path\tstart\tduration\ttext\na.wav\t0.25\t0.5\tA\u2028B\na.wav\t\t\tC\n")
    (folder / "t.csv").write_text('path,text\na.wav,"ONE\nTWO"\nnone.wav,X\n')
    (folder / "n.jsonl").write_text('{"audio_filepath": "a.wav", "duration": 1.0}\n{"text": "x"}\n')
    part, whole = entries([str(folder / "t.tsv")])
    assert (part.input.start, part.input.seconds, part.text) == (0.25, 0.5, "A\u2028B")
    assert sum(map(len, part.input.blocks(1.0))) == 8000
    assert whole.input.seconds == 1.0
    quoted, missing = entries([str(folder / "t.csv")])
    assert quoted.text == "ONE\nTWO" and "no such file" in str(missing.input.fault)
    good, bad = entries([str(folder / "n.jsonl")])
    assert good.input.duration is None and "must have a `path`" in str(bad.input.fault)


def test_standard_input_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        buffer = io.BytesIO((folder / "a.wav").read_bytes())

    monkeypatch.setattr(sys, "stdin", Pipe)
    (found,) = entries(["-"])
    assert found.name == "stdin" and sum(map(len, found.input.blocks(1.0))) == 16_000
    with pytest.raises(NoisewiseError, match="must be named once"):
        entries(["-", "-"])


def test_requests_that_cannot_be_met(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "broken.csv").write_text('path\n"a')
    (folder / "latin.tsv").write_bytes(b"path\n\xff\n")
    (folder / "list.jsonl").write_text("[1]\n")
    for name, sentence in (
        ("empty", "must hold audio files, but holds none"),
        ("broken.csv", "must be CSV"),
        ("latin.tsv", "must be UTF-8"),
        ("list.jsonl", "line 1: must be a JSON object"),
    ):
        with pytest.raises(NoisewiseError, match=sentence):
            entries([str(folder / name)])
    with pytest.raises(NoisewiseError, match="there is no such file"):
        list(rows(folder / "none.tsv"))
    for given, sentence in (((None, 2, None), "with --rate"), ((5, None, None), "`rate`"), ((8000, 1, "x"), "`dtype`")):
        with pytest.raises(NoisewiseError, match=sentence):
            raw_samples(*given)


def test_raw_samples_without_a_rate_are_told_of_the_option(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"\1\2" * 8000)
    waveform.save(tmp_path / "b.wav", np.sin(np.arange(8000) / 9).astype(np.float32))
    (tmp_path / "b.wav").rename(tmp_path / "b.raw")  # a header after all
    first, second = entries([str(tmp_path / "a.raw"), str(tmp_path / "b.raw")])
    assert "or come with --rate" in str(first.input.fault) and second.input.fault is None
    (told,) = entries([str(tmp_path / "a.raw")], RawSamples(8000))
    assert told.input.fault is None
