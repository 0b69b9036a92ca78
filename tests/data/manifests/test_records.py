import json
import sys
from pathlib import Path

import pytest

from noisewise.data.manifests import records
from noisewise.data.manifests.read import read
from noisewise.errors import DataError


def test_a_nemo_manifest_names_parts_of_recordings(tmp_path: Path, save: object) -> None:
    save(tmp_path / "a.wav", 2.0)
    lines = [
        {"audio_filepath": "a.wav", "duration": 0.5, "offset": 0.0, "text": "ONE"},
        {"audio_filepath": "a.wav", "duration": 9.0, "offset": 1.5, "text": "TWO"},
        {"audio_filepath": str(tmp_path / "a.wav"), "duration": 0.1, "text": "ALL"},
    ]
    (tmp_path / "nemo.json").write_text("\n".join(map(json.dumps, lines)))
    cuts = read(tmp_path / "nemo.json")
    assert [(cut.start, cut.duration, cut.text) for cut in cuts] == [
        (0, 0.5, "ONE"),
        (1.5, 0.5, "TWO"),
        (0, 2.0, "ALL"),
    ]
    assert [cut.id for cut in cuts[:2]] == ["a", "a-00001500"] and not cuts[0].is_whole and cuts[2].is_whole


def test_json_lines_of_the_datasets_library(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(
        '{"audio": {"path": "a.wav", "bytes": null}, "sentence": "YES", "client_id": 7}\n'
    )
    assert list(records.rows(tmp_path / "t.jsonl")) == [(1, {"path": "a.wav", "text": "YES", "speaker": 7})]
    assert next(records.rows(tmp_path / "t.jsonl", {"text": "client_id"}))[1]["text"] == 7


@pytest.mark.parametrize("content", ["[\n{}\n]", '[{"path": "a.wav"}]', "{", "1" * 5000, "[" * 100_000, '"x"', "null"])
def test_what_is_no_json_line_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.json").write_text(content)
    try:
        (_, error), *_ = records.rows(tmp_path / "t.json")
    except DataError as raised:
        error = raised
    assert isinstance(error, DataError) and "must be" in str(error) and len(str(error)) < 400


def test_parquet_without_pyarrow_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        next(records.parquet_rows(tmp_path / "t.parquet"))


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "metadata.parquet"
    parquet.write_table(pyarrow.table({"file_name": ["a.wav", "b.wav"], "transcription": ["YES", None]}), path)
    assert list(records.parquet_rows(path)) == [
        (1, {"path": "a.wav", "text": "YES"}),
        (2, {"path": "b.wav", "text": None}),
    ]
    parquet.write_table(pyarrow.table({"audio": [{"path": "a.wav", "bytes": b"x"}]}), path)
    with pytest.raises(DataError, match="holds the audio itself"):
        next(records.parquet_rows(path))
    parquet.write_table(pyarrow.table({"x": [1]}), path)
    with pytest.raises(DataError, match="must have a column `path`"):
        next(records.parquet_rows(path))
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="must be a Parquet file"):
        next(records.parquet_rows(path))
