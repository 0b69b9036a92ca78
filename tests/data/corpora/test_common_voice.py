from pathlib import Path

import pytest
import soundfile

from noisewise.data.corpora import common_voice
from noisewise.data.manifests.read import column, read, text_of
from noisewise.errors import DataError

HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\n"


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    root = tmp_path / "in/en"
    for index in range(3):
        wave = save(tmp_path / "wave.wav", 0.5, seed=index)
        (root / "clips").mkdir(parents=True, exist_ok=True)
        soundfile.write(root / f"clips/common_voice_en_{index}.mp3", *soundfile.read(wave))
    (root / "train.tsv").write_text(
        HEADER + 'aa\tcommon_voice_en_0.mp3\tShe said "no.\t2\t0\ttwenties\tfemale\tUnited States English\ten\n'
        "bb\tcommon_voice_en_1\tIt's late.\t2\t1\t\t\t\ten\n"
    )
    (root / "test.tsv").write_text(HEADER + "cc\tcommon_voice_en_2.mp3\tYes.\t2\t0\t\t\t\ten\n")
    return root


def test_sentences_with_open_quotes(corpus: Path, tmp_path: Path) -> None:
    parts = common_voice.prepare(corpus.parent, tmp_path / "out")
    assert [part.file for part in parts] == ["cuts_train.jsonl.gz", "cuts_test.jsonl.gz"]
    first, second = read(tmp_path / "out/cuts_train.jsonl.gz")
    assert [text_of(cut) for cut in (first, second)] == ['She said "no.', "It's late."]
    assert (column(first, "speaker"), column(first, "accents")) == ("aa", "United States English")
    assert second.id == "clips/common_voice_en_1" and column(second, "age") is None


def test_broken_rows_are_rejected(corpus: Path, tmp_path: Path) -> None:
    with (corpus / "test.tsv").open("a") as lines:
        lines.write("dd\tx.mp3\nee\tx.mp3\t \t2\t0\t\t\t\ten\nff\tgone.mp3\tGone.\t2\t0\t\t\t\ten\n")
    (_, part) = common_voice.prepare(corpus, tmp_path / "out")
    assert [item.reason for item in part.rejected] == ["bad_row", "no_text", "missing"]


def test_which_language(corpus: Path, tmp_path: Path) -> None:
    (corpus.parent / "fr").mkdir()
    (corpus.parent / "fr/test.tsv").write_text(HEADER)
    with pytest.raises(DataError, match="but has en, fr; give the folder of a language"):
        common_voice.prepare(corpus.parent, tmp_path / "out")
    (corpus / "train.tsv").write_text("path\tsentence\n")
    with pytest.raises(DataError, match="must have the columns client_id"):
        common_voice.prepare(corpus, tmp_path / "out")
