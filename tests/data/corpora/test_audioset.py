from pathlib import Path

import pytest

from noisewise.data.corpora import audioset
from noisewise.data.manifests.read import column, read
from noisewise.errors import DataError

HEADER = "# Segments csv created Sun Mar  5 10:54:31 2017\n# num_ytids=3\n# YTID, start_seconds, ...\n"


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    root = tmp_path / "in"
    for name in ("eval/--PJHxphWEs_30.000_40.000", "eval/Yab-_cdEFghi", "bal/Y2345678901_10000", "bal/other"):
        save(root / f"{name}.wav", 0.3)
    (root / "class_labels_indices.csv").write_text(
        'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/t/dd00088,"Male speech, man speaking"\n'
    )
    (root / "eval_segments.csv").write_text(
        HEADER + '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"\nab-_cdEFghi, 0.000, 10.000, "/t/dd00088"\n'
        'gonegonegon, 0.000, 10.000, "/m/09x0r"\n'
    )
    (root / "balanced_train_segments.csv").write_text(
        HEADER + 'Y2345678901, 10.000, 20.000, "/m/09x0r"\nY2345678901, 50.000, 60.000, "/m/unknown"\n'
    )
    return root


def test_labels_and_names_of_clips(corpus: Path, tmp_path: Path) -> None:
    parts = audioset.prepare(corpus, tmp_path / "out")
    assert [(part.file, part.utterances) for part in parts] == [
        ("cuts_balanced_train.jsonl.gz", 1),
        ("cuts_eval.jsonl.gz", 2),
    ]
    first, second = read(tmp_path / "out/cuts_eval.jsonl.gz")
    assert column(first, "label") == "Speech;Male speech, man speaking"
    assert (column(first, "mids"), column(first, "video")) == ("/m/09x0r;/t/dd00088", "--PJHxphWEs")
    assert second.id == "eval/Yab-_cdEFghi"
    assert [item.reason for part in parts for item in part.rejected] == ["bad_row", "missing"]


def test_a_segment_elsewhere_in_the_video_is_not_taken() -> None:
    names = set(audioset.clip_names("2345678901a", 10.0, 20.0))
    assert {"2345678901a", "Y2345678901a_10000_20000", "2345678901a_10", "2345678901a_10.000_20.000"} < names
    assert "2345678901a_50.000" not in names


def test_no_table_of_classes(corpus: Path, tmp_path: Path) -> None:
    (corpus / "class_labels_indices.csv").unlink()
    with pytest.raises(DataError, match=r"class_labels_indices\.csv` must exist"):
        audioset.prepare(corpus, tmp_path / "out")
