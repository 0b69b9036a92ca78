import gzip
import json
from pathlib import Path

import pytest
from lhotse import MonoCut, Recording, SupervisionSegment

from noisewise.data.manifests import supervisions
from noisewise.data.manifests.read import read
from noisewise.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, save: object) -> Path:
    recording = Recording.from_file(save(tmp_path / "a.wav", 2.0))
    parts = [
        SupervisionSegment(f"s{part}", recording.id, part, 1.0, text=f"TEXT {part}", speaker="ann") for part in (0, 1)
    ]
    for name, values in (("recordings", [recording]), ("supervisions", parts)):
        lines = "".join(json.dumps(value.to_dict()) + "\n" for value in values)
        (tmp_path / f"mine_{name}_train.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return tmp_path


def test_supervisions_are_parts_of_their_recordings_as_lhotse_has_them(folder: Path) -> None:
    cuts = read(folder)
    expected = [MonoCut("x", start, 1.0, 0).start for start in (0, 1)]
    assert [(cut.id, cut.start, cut.duration, cut.text, cut.speaker) for cut in cuts] == [
        ("s0", expected[0], 1.0, "TEXT 0", "ann"),
        ("s1", expected[1], 1.0, "TEXT 1", "ann"),
    ]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"id": 1, "recording_id": "no"}', '{"recording_id": []}'])
def test_a_bad_supervision_is_an_error_of_its_line(folder: Path, line: str) -> None:
    path = folder / "mine_supervisions_train.jsonl.gz"
    path.write_bytes(gzip.compress(line.encode() + b"\n" + gzip.decompress(path.read_bytes())))
    rows = [row for _, row in supervisions.rows(folder)]
    assert [isinstance(row, DataError) for row in rows] == [True, False, False]


def test_recordings_must_be_there_and_of_one_file(folder: Path) -> None:
    path = folder / "mine_recordings_train.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a", "sources": []}\n'))
    with pytest.raises(DataError, match="line 1: must be a recording of one file"):
        list(supervisions.rows(folder))
    path.unlink()
    with pytest.raises(DataError, match="must be beside"):
        list(supervisions.rows(folder))
