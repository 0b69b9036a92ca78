import gc
import json
import os
import pathlib
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import soundfile

from noisewise.data.corpora import table
from noisewise.data.manifests import table as tables
from noisewise.data.manifests.read import read
from noisewise.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, save: object) -> Path:
    save(tmp_path / "a.wav", 0.5)  # type: ignore[operator]
    return tmp_path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_device_is_refused_and_not_waited_for(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe.wav")
    (folder / "endless.wav").symlink_to("/dev/zero")
    (folder / "list.tsv").write_text("path\npipe.wav\nendless.wav\na.wav\n")
    (part,) = table.prepare(folder / "list.tsv", tmp_path / "out")
    assert [(item.reason, item.message.partition("must be")[2]) for item in part.rejected] == [
        ("not_audio", " an audio file, but is a pipe instead; remove it"),
        ("not_audio", " an audio file, but is a device instead; remove it"),
    ]
    assert part.utterances == 1
    assert all("pipe" not in cut.id for cut in read(folder, split=None))


def test_prepare_writes_a_manifest_for_each_split(speech: Path, tmp_path: Path) -> None:
    parts = table.prepare(str(speech), tmp_path / "out")
    assert {(part.file, part.utterances) for part in parts} == {
        ("cuts_train.jsonl.gz", 9),
        ("cuts_test.jsonl.gz", 3),
    }
    assert len(read(tmp_path / "out/cuts_train.jsonl.gz#speaker=s0")) == 5
    assert not (tmp_path / "out/rejected.jsonl").exists()
    assert not [path for path in (tmp_path / "out").iterdir() if "partial" in path.name]


def test_prepare_rejects_and_lists_what_is_bad(speech: Path, tmp_path: Path) -> None:
    (speech / "train/u1.flac").write_bytes(b"")
    soundfile.write(speech / "train/u2.flac", [0.0] * 8000, 16_000)
    with (speech / "manifest.tsv").open("a") as lines:
        lines.write("train/u3.flac\tonly two\n")
    parts = table.prepare(str(speech), tmp_path / "out")
    assert sum(part.utterances for part in parts) == 10
    lines = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["reason"] for line in lines) == ["bad_row", "empty", "silent"]


def test_prepare_again_does_only_what_has_changed(speech: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = table.prepare(str(speech), out)
    stamp = (out / "cuts_train.jsonl.gz").stat().st_mtime_ns
    assert [part.fresh for part in table.prepare(str(speech), out)] == [False, False]
    assert (out / "cuts_train.jsonl.gz").stat().st_mtime_ns == stamp
    (out / "cuts_test.jsonl.gz").write_bytes(b"half")  # as if it had been damaged
    again = table.prepare(str(speech), out)
    assert [(part.fresh, part.sha256) for part in again] == [
        (False, first[0].sha256),
        (True, first[1].sha256),
    ]
    (speech / "train/u1.flac").unlink()
    changed = table.prepare(str(speech), out)
    assert [(part.fresh, part.utterances) for part in changed] == [(True, 8), (False, 3)]


def test_what_a_table_rejects_is_listed_once_with_its_first_split(speech: Path, tmp_path: Path) -> None:
    rows = (speech / "manifest.tsv").read_text().splitlines()
    (speech / "manifest.tsv").write_text("\n".join([rows[0], rows[12], "x", *rows[1:12], rows[3]]) + "\n")
    parts = table.prepare(speech, tmp_path / "out")
    assert [(part.file, part.utterances, len(part.rejected)) for part in parts] == [
        ("cuts_test.jsonl.gz", 3, 2),
        ("cuts_train.jsonl.gz", 9, 0),
    ]
    assert [cut.id for cut in read(tmp_path / "out/cuts_test.jsonl.gz")] == ["test/u11", "test/u9", "test/u10"]
    assert [Path(item.path).name for item in parts[0].rejected] == ["manifest.tsv:3", "manifest.tsv:15"]


def test_a_changed_row_makes_its_split_anew(speech: Path, tmp_path: Path) -> None:
    table.prepare(speech, tmp_path / "out")
    content = (speech / "manifest.tsv").read_text()
    (speech / "manifest.tsv").write_text(content.replace("YES J", "NO J"))  # of test/u9
    assert [part.fresh for part in table.prepare(speech, tmp_path / "out")] == [False, True]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def at_the_end(cuts: Iterable[object]) -> Iterator[object]:  # instead of decoding, which is not what is measured
        yield from cuts
        gc.collect()  # empties the lists of freed tuples too
        shot = tracemalloc.take_snapshot()
        interned = tracemalloc.Filter(False, pathlib.__file__)  # the table of interned names grows in leaps
        held.append(sum(trace.size for trace in shot.filter_traces([interned]).traces))

    monkeypatch.setattr(tables, "_measured", lambda path: (16_000, 1_600))
    monkeypatch.setattr(table, "checked", at_the_end)
    for count in (500, 2_500):
        rows = "".join(f"sub/{'x' * 50}{index}.wav\t{'GO ' * 30}\n" for index in range(count))
        (tmp_path / "list.tsv").write_text(f"path\ttext\n{rows}")
        del rows
        tracemalloc.start()
        table.prepare(tmp_path / "list.tsv", tmp_path / f"out{count}")
        tracemalloc.stop()
    assert held[1] - held[0] < 2_000 * 20  # a row in memory takes a kilobyte


def test_a_killed_run_leaves_nothing_half_done(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    real = table.checked
    calls = []

    def killed(cuts: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(cuts)  # type: ignore[arg-type]

    monkeypatch.setattr(table, "checked", killed)
    with pytest.raises(KeyboardInterrupt):
        table.prepare(str(speech), out)
    assert (out / "cuts_train.jsonl.gz").exists() and not (out / "cuts_test.jsonl.gz").exists()
    monkeypatch.setattr(table, "checked", real)
    assert [part.fresh for part in table.prepare(str(speech), out)] == [False, True]


def test_another_corpus_is_not_overwritten(speech: Path, tmp_path: Path) -> None:
    table.prepare(str(speech), tmp_path / "out")
    record = tmp_path / "out/prepared.json"
    record.write_text(record.read_text().replace('"table"', '"an4"'))
    with pytest.raises(DataError, match="choose another folder"):
        table.prepare(str(speech), tmp_path / "out")
    record.write_text("{}")
    with pytest.raises(DataError, match="record of this program"):
        table.prepare(str(speech), tmp_path / "out")


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "list.tsv").write_text("path\ngone.wav\n")
    with pytest.raises(DataError, match=r"usable entry.*gone\.wav"):
        table.prepare(str(tmp_path / "list.tsv"), tmp_path / "out")
    with pytest.raises(DataError, match="no such path"):
        table.prepare(str(tmp_path / "nowhere"), tmp_path / "out")
