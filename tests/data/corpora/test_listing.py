import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from noisewise.data.corpora.listing import audio_below, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Rejected
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.read import read
from noisewise.errors import DataError


@pytest.fixture
def root(tmp_path: Path, save: object) -> Path:
    for index in range(9):
        save(tmp_path / f"in/u{index}.wav", 0.1, seed=index)
    return tmp_path / "in"


def rows(root: Path) -> Iterator[Row | Rejected]:
    for path in audio_below(root):
        yield {"path": path.name, "text": path.stem}


def test_order_is_kept_whatever_the_workers(root: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        prepare_parts("c", root, tmp_path / f"{workers}", {"a": lambda: rows(root)}, layout="", workers=workers)
        assert [cut.id for cut in read(tmp_path / f"{workers}/cuts_a.jsonl.gz")] == [f"u{i}" for i in range(9)]
    one, three = ((tmp_path / name / "cuts_a.jsonl.gz").read_bytes() for name in ("1", "3"))
    assert one == three


def test_what_cannot_be_used_is_listed(root: Path, tmp_path: Path) -> None:
    (root / "u1.wav").write_bytes(b"RIFF")
    (root / "u2.flac").write_bytes((root / "u2.wav").read_bytes())

    def more() -> Iterator[Row | Rejected]:
        yield from rows(root)
        yield {"path": "gone.wav"}
        yield Rejected("list:7", "bad_row", "said so")

    (part,) = prepare_parts("c", root, tmp_path / "out", {"": more}, layout="", workers=2)
    assert (part.file, part.utterances) == ("cuts.jsonl.gz", 8)
    listed = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert [item["reason"] for item in listed][1:] == ["duplicate", "missing", "bad_row"]


def test_a_changed_file_makes_its_part_anew(root: Path, tmp_path: Path, save: object) -> None:
    parts = {"a": lambda: rows(root), "b": lambda: iter([{"path": "u0.wav"}]), "c": lambda: iter(())}
    first = prepare_parts("c", root, tmp_path / "out", parts, layout="")
    assert [(part.file, part.fresh) for part in first] == [("cuts_a.jsonl.gz", True), ("cuts_b.jsonl.gz", True)]
    save(root / "u5.wav", 0.2)
    again = prepare_parts("c", root, tmp_path / "out", parts, layout="")
    assert [part.fresh for part in again] == [True, False]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold some folders"):
        prepare_parts("c", tmp_path, tmp_path / "out", {"a": lambda: []}, layout="some folders")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="must be a folder"):
        folder_with(tmp_path / "nowhere", "x")


def test_a_run_that_stops_leaves_no_half_file(root: Path, tmp_path: Path) -> None:
    def report(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_parts("c", root, tmp_path / "out", {"a": lambda: rows(root)}, layout="", workers=1, report=report)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["prepared.json"]
