"""KenLM as outside oracle of the reader of ARPA files."""

from pathlib import Path

import pytest

from noisewise.lm.loading import load
from noisewise.lm.protocol import LanguageModel, sentence_score
from tests.lm.test_ngram import ARPA


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path / "lm.arpa"


@pytest.mark.parametrize("backend", ["kenlm", "flashlight"])
def test_the_scores_are_those_of_kenlm(path: Path, backend: str) -> None:
    pytest.importorskip("kenlm" if backend == "kenlm" else "flashlight.lib.text.decoder.kenlm")
    path.write_text(ARPA.partition("\n\n")[2])  # KenLM wants no comment before
    kenlm: LanguageModel = load(path, backend, vocabulary=["A", "B"])
    own = load(path)
    for sentence in ("", "A", "A B", "A B A B B", "C A B", "B C C A"):
        assert sentence_score(kenlm, sentence.split()) == pytest.approx(sentence_score(own, sentence.split()), abs=1e-5)
    assert kenlm.knows("A") and not kenlm.knows("C")
