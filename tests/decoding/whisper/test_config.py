"""Values that no search of a Whisper can have are refused."""

from typing import Any

import pytest

from noisewise.decoding.whisper.config import WhisperSearchConfig
from noisewise.errors import NoisewiseError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"beam": 0}, "`beam` must be"),
        ({"beam": 2, "nbest": 3}, r"`nbest` must be 1 to `beam` \(2\), but is 3"),
        ({"ctc_weight": 1.5}, "`ctc_weight` must be"),
        ({"no_speech": -0.1}, "`no_speech` must be"),
        ({"length_power": -1.0}, "`length_power` must be"),
        ({"tokens_per_second": 0.0}, "`tokens_per_second` must be more than 0"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(NoisewiseError, match=message):
        WhisperSearchConfig(**values)


def test_as_many_hypotheses_as_the_beam_is_wide() -> None:
    assert WhisperSearchConfig(beam=3, nbest=3, ctc_weight=1.0, no_speech=1.0).nbest == 3
