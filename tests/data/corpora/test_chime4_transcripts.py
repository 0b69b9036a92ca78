import logging
from pathlib import Path

import pytest

from noisewise.data.corpora.chime4_transcripts import check_words, normalise_escapes, transcripts, wsj_transcripts
from noisewise.errors import DataError


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("YOU WILL NEED AN INTERNET CONNECTION", "YOU WILL NEED AN INTERNET CONNECTION"),
        ("the \\(price\\) rose", "THE (PRICE) ROSE"),
        ("five %percent .point two", "FIVE PERCENT POINT TWO"),
        ("yes --dash no -hyphen", "YES -DASH NO -HYPHEN"),
        ("[<door_slam] a [door_slam>] b [phone_ring/] c [/phone_ring]", "A B C"),
        ("a ~ b . c", "A B C"),
        ("[lip_smack] the [<misc.noise>] end", "THE END"),
        ("<don't> go <over>", "DON'T GO OVER"),
        ("mr. smith's ,comma", "MR. SMITH'S ,COMMA"),
        ("", ""),
    ],
)
def test_escapes(line: str, words: str) -> None:
    assert normalise_escapes(line) == words


def test_ids_are_upper_case(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/011c0200.dot").write_text("hello (011c0201)\n\n (011c0202)\n")
    assert transcripts(tmp_path / "deep/011c0200.dot") == {"011C0201": "HELLO", "011C0202": ""}
    assert wsj_transcripts(tmp_path) == {"011C0201": "HELLO", "011C0202": ""}


def test_a_line_without_an_id(tmp_path: Path) -> None:
    (tmp_path / "x.dot_all").write_text("A (F01_1_BUS)\nB\n")
    with pytest.raises(DataError, match="line 2: must end in"):
        transcripts(tmp_path / "x.dot_all")


def test_the_published_count_of_words(caplog: pytest.LogCaptureFixture) -> None:
    words = {str(index): "A " * 16 for index in range(1640)}
    words["0"] += "A " * (27_119 - 16 * 1640)
    with caplog.at_level(logging.WARNING):
        check_words("dt05_real", words)
        assert not caplog.records
        words["1"] += "A"
        check_words("dt05_real", words)
        assert "must have 27119 words, as published, but has 27120" in caplog.text
        caplog.clear()
        check_words("dt05_real", {"a": "B"})  # a piece of the set says nothing
        assert not caplog.records
