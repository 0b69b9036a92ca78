"""Language models over A, B and words of them."""

import pytest

from noisewise.lm.kneser_ney import train
from noisewise.lm.loading import load
from noisewise.lm.protocol import LanguageModel


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    train([["A", "BA"], ["BA"], ["A", "A", "BA", "B"], ["BA", "A"]] * 3, order=3).save(path)
    return load(path)


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("lm") / "characters.arpa"
    train([list("A|BA"), list("BA"), list("A|A|BA|B"), list("BA|A")] * 3, order=4).save(path)
    return load(path)
