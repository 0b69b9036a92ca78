from pathlib import Path

import pytest

from noisewise.data.corpora import free_spoken_digits
from noisewise.data.manifests.read import column, read, text_of
from noisewise.errors import DataError


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    for name in ("0_jackson_0", "0_jackson_4", "0_jackson_5", "7_theo_49", "9_theo_2"):
        save(tmp_path / "in/recordings" / f"{name}.wav", 0.3, rate=8000)
    return tmp_path / "in"


def test_words_speakers_and_the_official_split(corpus: Path, tmp_path: Path) -> None:
    free_spoken_digits.prepare(corpus, tmp_path / "out")
    train, test = (list(read(tmp_path / f"out/cuts_{split}.jsonl.gz")) for split in ("train", "test"))
    assert [(text_of(cut), column(cut, "speaker")) for cut in train] == [("ZERO", "jackson"), ("SEVEN", "theo")]
    assert [cut.id for cut in test] == ["recordings/0_jackson_0", "recordings/0_jackson_4", "recordings/9_theo_2"]
    assert text_of(test[2]) == "NINE" and column(test[2], "label") == "9"
    assert test[0].sample_rate == 8000


def test_a_wrong_name_is_rejected_once(corpus: Path, tmp_path: Path, save: object) -> None:
    save(corpus / "recordings/ten_theo_1.wav")
    parts = free_spoken_digits.prepare(corpus, tmp_path / "out")
    assert [item.reason for part in parts for item in part.rejected] == ["bad_name"]


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold recordings/"):
        free_spoken_digits.prepare(tmp_path, tmp_path / "out")
