import json
from pathlib import Path

import pytest

from noisewise.data.corpora import an4
from noisewise.data.manifests.read import column, load_audio, read, text_of
from noisewise.errors import DataError


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    """The layout of the distribution: marks in the training transcripts, none in those of the test."""
    folder = tmp_path / "an4"
    (folder / "etc").mkdir(parents=True)
    lists = {
        "train": [("an4_clstk/fash/an251-fash-b", "<s> YES </s> (an251-fash-b)"),
                  ("an4_clstk/mjgm/cen5-mjgm-b", "<s> P I T T </s> (cen5-mjgm-b)")],
        "test": [("an4test_clstk/fcaw/an406-fcaw-b", "RUBOUT G M E F THREE NINE (an406-fcaw-b)")],
    }  # fmt: skip
    for split, rows in lists.items():
        (folder / f"etc/an4_{split}.fileids").write_text("".join(f"{name}\n" for name, _ in rows))
        (folder / f"etc/an4_{split}.transcription").write_text("".join(f"{line}\n" for _, line in rows))
        for name, _ in rows:
            save(folder / "wav" / f"{name}.wav", 0.5)
    return folder


def test_words_speakers_and_splits(corpus: Path, tmp_path: Path) -> None:
    parts = an4.prepare(corpus, tmp_path / "out")
    assert [(part.file, part.utterances) for part in parts] == [
        ("cuts_train.jsonl.gz", 2),
        ("cuts_test.jsonl.gz", 1),
    ]
    train, test = (
        list(read(tmp_path / "out/cuts_train.jsonl.gz")),
        list(read(tmp_path / "out/cuts_test.jsonl.gz")),
    )
    assert [text_of(cut) for cut in train] == ["YES", "P I T T"]
    assert [column(cut, "speaker") for cut in train] == ["fash", "mjgm"]
    assert (text_of(test[0]), column(test[0], "split")) == ("RUBOUT G M E F THREE NINE", "test")
    assert test[0].id == "wav/an4test_clstk/fcaw/an406-fcaw-b"
    assert len(load_audio(test[0])) == 8000


def test_a_second_run_skips(corpus: Path, tmp_path: Path) -> None:
    an4.prepare(corpus, tmp_path / "out")
    assert [part.fresh for part in an4.prepare(corpus, tmp_path / "out")] == [False, False]


def test_faults_are_listed(corpus: Path, tmp_path: Path) -> None:
    with (corpus / "etc/an4_train.fileids").open("a") as lines:
        lines.write("an4_clstk/fash/gone\nan4_clstk/fash/untold\n")
    with (corpus / "etc/an4_train.transcription").open("a") as lines:
        lines.write("no id here\n")
    (corpus / "wav/an4_clstk/fash/untold.wav").write_bytes(
        (corpus / "wav/an4_clstk/fash/an251-fash-b.wav").read_bytes()
    )
    (part, _) = an4.prepare(corpus, tmp_path / "out")
    assert part.utterances == 2
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert sorted(reasons) == ["bad_row", "missing", "no_text"]


def test_a_folder_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"an4_train\.fileids.*holds wav/ and etc/"):
        an4.prepare(tmp_path, tmp_path / "out")
