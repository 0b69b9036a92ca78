from pathlib import Path

import pytest

from noisewise.data.corpora import esc50
from noisewise.data.manifests.read import column, read
from noisewise.errors import DataError

TABLE = """filename,fold,target,category,esc10,src_file,take
1-100032-A-0.wav,1,0,dog,True,100032,A
2-1001-B-14.wav,2,14,chirping_birds,False,1001,B
"""


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    root = tmp_path / "in/ESC-50-master"
    for name in ("1-100032-A-0", "2-1001-B-14"):
        save(root / f"audio/{name}.wav", 0.3, rate=44_100)
    (root / "meta").mkdir()
    (root / "meta/esc50.csv").write_text(TABLE)
    return tmp_path / "in"


def test_folds_and_categories(corpus: Path, tmp_path: Path) -> None:
    (part,) = esc50.prepare(corpus, tmp_path / "out")
    assert (part.file, part.utterances) == ("cuts.jsonl.gz", 2)
    (cut,) = read(f"{tmp_path}/out/cuts.jsonl.gz#fold=2")
    assert cut.id == "audio/2-1001-B-14"
    assert [column(cut, name) for name in ("label", "target", "recording")] == ["chirping_birds", "14", "1001"]


def test_a_missing_clip_is_rejected(corpus: Path, tmp_path: Path) -> None:
    (corpus / "ESC-50-master/audio/1-100032-A-0.wav").unlink()
    (part,) = esc50.prepare(corpus, tmp_path / "out")
    assert [item.reason for item in part.rejected] == ["missing"]


def test_a_wrong_table(corpus: Path, tmp_path: Path) -> None:
    (corpus / "ESC-50-master/meta/esc50.csv").write_text("file,fold\n")
    with pytest.raises(DataError, match=r"lacks \['filename', 'target', 'category'\]"):
        esc50.prepare(corpus, tmp_path / "out")
    with pytest.raises(DataError, match=r"esc50\.csv` must exist"):
        esc50.prepare(tmp_path, tmp_path / "out")
