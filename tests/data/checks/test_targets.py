"""Transcripts as targets of CTC, before the first step."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.data.checks.targets import frames_needed, look
from noisewise.data.loading.dataset import DataConfig
from noisewise.errors import DataError
from noisewise.text.normalise import choose
from noisewise.text.tokenizer import CharacterTokenizer

ENCODE = CharacterTokenizer().encode


def corpus(folder: Path, texts: list[str]) -> DataConfig:
    rows = ["path\ttext"]
    for index, text in enumerate(texts):
        soundfile.write(folder / f"u{index}.wav", np.full(16_000, 0.1, np.float32), 16_000)
        rows.append(f"u{index}.wav\t{text}")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return DataConfig(manifests=[str(folder)])


def test_what_teaches_nothing_is_counted_and_said(tmp_path: Path) -> None:
    config = corpus(tmp_path, ["YES 7", "привет", "", "A" * 60])
    found = look(config, ENCODE, choose("english"), 320)
    assert (found.utterances, found.without_text, found.too_long) == (4, ["u1", "u2"], ["u3"])
    found.refuse_nothing("english")
    lines = found.lines("english")
    assert "2 of 4" in lines[0] and "привет" in lines[0] and "'u3'" in lines[1] and "7 (1)" in lines[2]
    assert not look(corpus(tmp_path, ["YES", "NO"]), ENCODE, choose("english"), 320).lines("english")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [(["привет", "мир"], "'привет'"), (["", ""], "add a column"), (["A" * 60, "B" * 80], "u0"), (["A" * 60, ""], "u0")],
)
def test_a_set_that_teaches_nothing_at_all_is_refused(tmp_path: Path, texts: list[str], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        look(corpus(tmp_path, texts), ENCODE, choose("english"), 320).refuse_nothing("english")


def test_equal_neighbours_need_a_blank_between_them() -> None:
    assert frames_needed([1, 2, 2, 2]) == 6 and frames_needed([]) == 0
