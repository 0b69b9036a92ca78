"""Language models of every kind from their paths."""

from pathlib import Path

import pytest

from noisewise.errors import DecodingError
from noisewise.lm.loading import load
from tests.lm.test_ngram import ARPA


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path / "lm.arpa"


def test_an_unknown_reader_is_refused(path: Path) -> None:
    with pytest.raises(DecodingError, match="noisewise, kenlm or flashlight"):
        load(path, "srilm")


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodingError, match="check the path"):
        load(tmp_path / "none.arpa")
