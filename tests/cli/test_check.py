import gzip
import json
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.audio.waveform import save
from noisewise.cli.main import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "speech"
    made.mkdir()
    lines = ["path\tspeaker\ttext"]
    for index in range(4):
        wave = 0.1 * np.random.default_rng(index).standard_normal(8000)
        soundfile.write(made / f"u{index}.wav", wave, 16_000)
        lines.append(f"u{index}.wav\ts{index}\tYES")
    (made / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return made


def test_nothing_wrong_is_status_0(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quarantine = tmp_path / "quarantine.jsonl"
    assert main(["check", str(folder), "--quarantine", str(quarantine)]) == 0
    shown = capsys.readouterr()
    assert "4 entries, 0.0 minutes, 0 entries with errors" in shown.out and "reason" not in shown.out
    assert (shown.err, quarantine.read_text()) == ("", "")


def test_errors_are_status_1_and_go_to_the_files(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "u1.wav").write_bytes(b"")
    soundfile.write(folder / "u2.wav", np.ones(8000), 16_000, subtype="FLOAT")
    soundfile.write(folder / "u3.wav", np.tile([1.0, -1.0], 2000), 8000)
    report, quarantine = tmp_path / "report.json", tmp_path / "quarantine.jsonl"
    assert main(["check", str(folder), "--report", str(report), "--quarantine", str(quarantine)]) == 1
    shown = capsys.readouterr()
    assert "2 entries with errors" in shown.out
    assert [line.split()[:3] for line in [each for each in shown.out.splitlines() if "SNR" not in each][2:6]] == [
        ["empty", "error", "1"],
        ["silent", "error", "1"],
        ["clipped", "warning", "1"],
        ["resampled", "note", "1"],
    ]
    assert "error (empty): " in shown.err and "line 3, u1: " in shown.err
    made = json.loads(report.read_text())
    assert made["entries"] == 4 and made["entries_with_errors"] == 2 and made["rules"]["hop"] == 320
    assert made["counts"] == {"empty": 1, "silent": 1, "clipped": 1, "resampled": 1}
    assert [(item["id"], item["reason"], item["line"]) for item in made["findings"]] == [
        ("u1", "empty", 3),
        ("u2", "silent", 4),
        ("u3", "clipped", 5),
        ("u3", "resampled", 5),
    ]
    assert [json.loads(line)["id"] for line in quarantine.read_text().splitlines()] == ["u1", "u2"]


def test_warnings_are_status_0_unless_strict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "u3.wav").write_bytes((folder / "u0.wav").read_bytes())
    assert main(["check", str(folder)]) == 0
    assert main(["check", str(folder), "--strict"]) == 1
    assert main(["check", str(folder), "--strict", "--ignore", "duplicate_audio"]) == 0


def test_vocabulary_and_hop_of_a_model(folder: Path, model_dir: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert main(["check", str(folder), "--model", str(model_dir), "--report", str(report)]) == 0
    assert json.loads(report.read_text())["rules"]["hop"] == 640
    assert main(["check", str(folder), "--model", str(model_dir), "--hop", "4000"]) == 1  # 2 frames for YES
    assert main(["check", str(folder), "--tokens", str(model_dir / "tokens.txt"), "--hop", "2000"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no such path"),
        (["speech", "--ignore", "clip"], "did you mean 'clipped'?"),
        (["speech", "--tokens", "nothing.txt"], "no such file"),
        (["speech", "--model", "nothing"], "no such folder"),
        (["speech", "--model", "box", "--tokens", "tokens.txt"], "both are"),
        (["speech", "--report", "no/folder/report.json"], "in a folder that exists"),
        (["speech", "--quarantine", "speech"], "must be a file"),
        (["speech", "--cache", "speech/manifest.tsv"], "must be a cache"),
        (["speech#split=dev"], "at least one entry"),
    ],
)
def test_a_wrong_request_is_one_line(
    words: list[str],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder.parent)
    assert main(["check", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(path.name for path in folder.parent.iterdir()) == ["speech"]


def wav(samples: np.ndarray, promised: int | None = None, rate: int = 16_000) -> bytes:
    """A float32 WAV file, whose header may promise another number of bytes than there are."""
    data = samples.astype("<f4").tobytes()
    size = len(data) if promised is None else promised
    header = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + size & 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 3, 1, rate, 4 * rate, 4, 32
    )
    return header + struct.pack("<4sI", b"data", size) + data


NOISE = 0.1 * np.random.default_rng(0).standard_normal(1600)
AUDIO = {
    "empty": b"",
    "letter": b"Dear all, this is no recording at all.\n",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(90),
    "riff": b"RIFF" + bytes(range(200)),
    "header": wav(NOISE)[:20],
    "no_samples": wav(NOISE[:0]),
    "half": wav(NOISE)[:3000],
    "promises_2_gb": wav(NOISE, 0x7FFF_0000),
    "nan": wav(np.where(np.arange(1600) == 800, np.nan, NOISE)),
    "infinity": wav(np.where(np.arange(1600) == 800, np.inf, NOISE)),
    "silence": wav(0 * NOISE),
    "rate_of_1_hz": wav(NOISE, rate=1),
    "playlist": b"#EXTM3U\nhttp://example.org/a.wav\n",
    "zip": b"PK\x03\x04" + bytes(100),
}


def test_broken_audio_is_named_and_nothing_else_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a"
    (folder / "folder.wav").mkdir(parents=True)
    (folder / "dangling.wav").symlink_to("nowhere")
    for name, content in {**AUDIO, "good": wav(NOISE)}.items():
        (folder / f"{name}.wav").write_bytes(content)
    names = [*AUDIO, "good", "folder", "dangling", "absent"]
    (folder / "manifest.tsv").write_text("path\n" + "".join(f"{name}.wav\n" for name in names))
    assert main(["check", str(folder), "--audio-only", "--quarantine", str(tmp_path / "list")]) == 1
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    listed = [json.loads(line) for line in (tmp_path / "list").read_text().splitlines()]
    assert {item["id"] for item in listed} == set(names) - {"good"}
    assert all(len(item["reasons"]) == 1 for item in listed)
    assert main(["prepare", "table", str(folder), str(tmp_path / "out")]) == 1
    assert "1 entries" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cuts.jsonl.gz",
        "prepared.json",
        "rejected.jsonl",
    ]


def test_broken_audio_does_not_stop_transcribing(
    tmp_path: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in AUDIO.items():
        (tmp_path / f"{name}.wav").write_bytes(content)
    words = [str(tmp_path / f"{name}.wav") for name in AUDIO if name != "silence"]  # silence has a transcript: none
    assert main(["transcribe", *words, "--model", str(model_dir)]) == 1
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert all(f"{name}.wav" in shown.err for name in AUDIO if name != "silence")


def test_hours_of_silence_in_a_small_file_are_refused_in_little_time_and_memory(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "told.flac", "w", 1000, 1) as file:  # a low rate makes it quick to write
        for _ in range(5):
            file.write(np.full(1_000_000, 100, np.int16))
    content = bytearray((tmp_path / "told.flac").read_bytes())
    content[21] &= 0xF0  # the number of samples, 36 bits: 0 says that it is not known
    content[22:26] = bytes(4)
    (tmp_path / "untold.flac").write_bytes(content)
    assert len(content) < 1_000_000
    gzip_bomb = gzip.compress(b" " * (20 << 20))
    (tmp_path / "endless.jsonl.gz").write_bytes(gzip_bomb)
    (tmp_path / "manifest.tsv").write_text("path\tduration_seconds\ntold.flac\t1\n")
    begun = time.process_time()
    tracemalloc.start()
    words = ["--audio-only", "--max-seconds", "600", "--workers", "1"]
    assert main(["check", str(tmp_path), *words, "--report", str(tmp_path / "told.json")]) == 1
    (tmp_path / "manifest.tsv").write_text("path\tduration_seconds\nuntold.flac\t1\n")
    assert main(["check", str(tmp_path), *words, "--report", str(tmp_path / "untold.json")]) == 1
    assert main(["check", str(tmp_path / "endless.jsonl.gz")]) == 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for name in ("told", "untold"):
        assert json.loads((tmp_path / f"{name}.json").read_text())["counts"] == {"too_long": 1}
    assert peak < 100e6
    assert time.process_time() - begun < 20


CUT = {
    "type": "MonoCut",
    "id": "a",
    "start": 0,
    "duration": 0.1,
    "channel": 0,
    "supervisions": [{"id": "a", "recording_id": "a", "start": 0, "duration": 0.1, "text": "A"}],
    "recording": {
        "id": "a",
        "sources": [{"type": "file", "channels": [0], "source": "a.wav"}],
        "sampling_rate": 16_000,
        "num_samples": 1600,
        "duration": 0.1,
    },
}


def line(**changes: object) -> bytes:
    return gzip.compress(json.dumps({**CUT, **changes}).encode() + b"\n")


MANIFESTS = {
    "not_gzip.jsonl.gz": b'{"id": "a"}\n',
    "half.jsonl.gz": line()[:-20],
    "damaged.jsonl.gz": line()[:30] + b"\xff\xff\xff" + line()[33:],
    "no_json.jsonl.gz": gzip.compress(b"hello\n"),
    "latin.jsonl.gz": gzip.compress('{"id": "ol\u00e9"}\n'.encode("latin-1")),
    "deep.jsonl.gz": gzip.compress(b"[" * 100_000),
    "list.jsonl.gz": gzip.compress(b"[1]\n"),
    "empty.jsonl.gz": gzip.compress(b""),
    "mixed.jsonl.gz": line(type="MixedCut"),
    "bare.jsonl.gz": gzip.compress(b'{"type": "MonoCut", "id": "a"}\n'),
    "no_recording.jsonl.gz": line(recording=None),
    "backwards.jsonl.gz": line(duration=-1.0),
    "endless.jsonl.gz": line(duration=float("nan")),
    "words.jsonl.gz": line(start="soon"),
    "number.jsonl.gz": line(supervisions=[{**CUT["supervisions"][0], "text": 5}]),
    "no_source.jsonl.gz": line(recording={**CUT["recording"], "sources": []}),  # type: ignore[dict-item]
    "empty.tsv": b"",
    "binary.tsv": bytes(range(256)),
    "latin.csv": "path,text\na.wav,OL\u00c9\n".encode("latin-1"),
    "fields.tsv": b"path\ttext\na.wav\n",
    "no_path.csv": b"sound,words\nb.wav,A\n",
    "root.tsv": b"path\n/\n",
    "null.tsv": b"path\na\0.wav\n",
    "huge.csv": b"path,text\na.wav," + b"A" * 200_000 + b"\n",
    "number.jsonl": b'{"path": 3}\n',
    "deep.jsonl": b'{"path": ' + b"[" * 100_000 + b"\n",
    "words.xlsx": b"PK",
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_broken_manifests_are_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.wav").write_bytes(wav(NOISE))
    path = folder / name
    path.write_bytes(MANIFESTS[name])
    report = tmp_path / "report.json"
    status = main(["check", str(path), "--report", str(report)])
    assert status == (1 if report.exists() else 2)
    shown = capsys.readouterr().err
    assert name in shown and shown.count("\n") == 1
    for words in (
        ["mix", str(path), str(folder), str(tmp_path / "out")],
        ["prepare", "table", str(path), str(tmp_path / "made")],
    ):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert {item.name for item in tmp_path.iterdir()} <= {"in", "report.json"}


VOCABULARIES = {
    "empty": b"",
    "blank_not_first": b"A\n<blank>\n<unk>\n|\n",
    "no_blank": b"A\nB\n|\n<unk>\n",
    "doubled": b"<blank>\n<unk>\n|\nA\nA\n",
    "empty_line": b"<blank>\n<unk>\n|\n\nA\n",
    "no_boundary": b"<blank>\n<unk>\nA\n",
    "utf16": "<blank>\n<unk>\n|\nA\n".encode("utf-16"),
    "latin": b"<blank>\n<unk>\n|\n\xc9\n",
    "json": b'{"<blank>": 0, "<unk>": 1, "|": 2}\n',
    "spaces": b" <blank>\n <unk>\n |\n",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_broken_vocabularies_are_refused(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tokens.txt").write_bytes(VOCABULARIES[name])
    report = tmp_path / "report.json"
    assert main(["check", str(folder), "--tokens", str(tmp_path / "tokens.txt"), "--report", str(report)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not report.exists()


def test_signal_to_noise_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bursts in noise at 20 dB: on the terminal, in the report, and in a table; from the cache alike."""
    random = np.random.default_rng(0)
    sound = random.standard_normal(32_000) * (np.arange(32_000) // 4000 % 2)
    sound += random.standard_normal(32_000) * np.sqrt(np.mean(sound**2) / 100)
    save(tmp_path / "a.flac", (0.05 * sound).clip(-1, 1).astype(np.float32))
    (tmp_path / "manifest.tsv").write_text("path\ttext\na.flac\tYES\n")
    words = ["check", str(tmp_path), "--report", str(tmp_path / "r.json"), "--table", str(tmp_path / "snr.tsv")]
    tables = []
    for _ in range(2):
        assert main([*words, "--cache", str(tmp_path / "cache")]) == 0
        assert "SNR by the energy of frames: median 19.9 dB" in capsys.readouterr().out
        tables.append((tmp_path / "snr.tsv").read_text())
    head, line = tables[0].splitlines()
    assert tables[0] == tables[1] and head.split("\t")[2:] == ["wada_snr_db", "energy_snr_db"]
    name, seconds, wada, energy = line.split("\t")
    assert (name, seconds) == ("a", "2.00") and float(energy) == pytest.approx(20, abs=0.5) and float(wada) > 0
    assert json.loads((tmp_path / "r.json").read_text())["snr_db"]["energy"] == [round(float(energy), 1)] * 3
