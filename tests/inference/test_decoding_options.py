"""Options of decoding by name."""

from pathlib import Path
from typing import Any

import pytest

from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.config import DecodingConfig
from noisewise.errors import ConfigError, DecodingError
from noisewise.inference.decoding_options import with_options


def test_options_change_what_they_name_alone() -> None:
    base = DecodingConfig(lm="a.arpa", bonus=2.0)
    changed = with_options(base, lm_weight=0.3, beam=7, nbest=None)
    assert isinstance(changed, DecodingConfig)
    assert (changed.lm, changed.bonus, changed.lm_weight, changed.search.beam) == ("a.arpa", 2.0, 0.3, 7)
    attending = with_options(DecodingConfig(attention=JointConfig()), beam=3, nbest=5)
    assert isinstance(attending, DecodingConfig) and attending.attention is not None
    assert (attending.attention.beam, attending.attention.nbest) == (5, 5)
    found = with_options("greedy", lm=Path("b.arpa"), lexicon="words.txt")
    assert isinstance(found, DecodingConfig) and (found.lm, found.lexicon) == ("b.arpa", "words.txt")
    assert with_options("greedy") == "greedy" and with_options(base, lm=None) is base


@pytest.mark.parametrize(
    ("options", "error"),
    [({"beam": 0}, DecodingError), ({"lm_weight": 1.0}, DecodingError), ({"lm_unit": 3}, ConfigError)],
)
def test_options_that_cannot_be(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        with_options("greedy", **options)
