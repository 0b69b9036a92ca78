"""Which forms a recogniser can be written in, by the times that it tells."""

import pytest

from noisewise.errors import ConfigError
from noisewise.inference.transcriber import OF_SEGMENTS, OF_WORDS, must_tell_times
from noisewise.inference.transcript import WRITERS


def test_words_are_enough_for_every_form() -> None:
    for form in WRITERS:
        must_tell_times(form, "words", "box")


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_a_form_that_needs_more_is_refused(form: str) -> None:
    needs = {"segments": form in OF_WORDS, "none": form in OF_WORDS | OF_SEGMENTS}
    for times, is_refused in needs.items():
        if is_refused:
            with pytest.raises(ConfigError, match=rf"{form} must have .*`m` tells"):
                must_tell_times(form, times, "m")  # type: ignore[arg-type]
        else:
            must_tell_times(form, times, "m")  # type: ignore[arg-type]
