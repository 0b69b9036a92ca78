import gzip
from pathlib import Path

import pytest

from noisewise.errors import NoisewiseError
from noisewise.text.normalise import choose
from noisewise.text.sentences import read


def test_lines_become_normalised_words_or_letters(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("It's tea-time.\n\n1999!\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress("élan\n".encode()))
    paths = [tmp_path / "a.txt", tmp_path / "b.txt.gz"]
    assert list(read(paths)) == [["IT'S", "TEA", "TIME"], ["ELAN"]]
    assert next(iter(read(paths, characters=True))) == list("IT'S|TEA|TIME")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8bno gzip")
    for name, message in (("a.txt", "UTF-8"), ("b.gz", "gzip"), ("c.txt", "no such file")):
        with pytest.raises(NoisewiseError, match=message):
            list(read([tmp_path / name]))


def test_other_scripts_are_read_by_choice_and_never_vanish_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("Привет, мир!\n\nДа\n", encoding="utf-8")
    assert list(read([path], normaliser=choose("unicode"))) == [["ПРИВЕТ", "МИР"], ["ДА"]]
    assert list(read([path], True, choose("unicode-cased")))[1] == ["Д", "а"]
    with pytest.raises(NoisewiseError, match="'Привет, мир!'"):
        list(read([path]))
    path.write_text("ENTER 6 <unk>\n", encoding="utf-8")
    assert list(read([path])) == [["ENTER"]] and "6 (1)" in caplog.text and "<unk> (1)" in caplog.text
