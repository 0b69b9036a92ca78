"""The state of a Whisper: sizes that its weights have, and biases that Whisper lacks."""

import pytest
import torch

from noisewise.errors import ModelError
from noisewise.models.whisper import weights
from noisewise.models.whisper.state import sized
from tests.models.whisper.conftest import Maker


def test_keys_have_no_bias_in_whisper_and_one_of_zero_here(a_whisper: Maker) -> None:
    found = weights.read(str(a_whisper()), ["decoder"])
    biases = [value for name, value in found.weights.items() if name.endswith("key.bias")]
    assert len(biases) == 6 and not any(value.any() for value in biases)
    assert found.encoder == {} and not any(name.startswith("encoder") for name in found.weights)


@pytest.mark.parametrize("heads", [0, 3, 64, None, True, "4"])
def test_heads_must_divide_the_width(heads: object, a_whisper: Maker) -> None:
    found = weights.read(str(a_whisper()), ["encoder"]).weights
    assert sized(found, {"encoder": 4}, "it").encoder["heads"] == 4
    with pytest.raises(ModelError, match="heads of `it` must divide the width 32"):
        sized(found, {"encoder": heads}, "it")


def test_a_weight_that_is_missing_or_of_another_rank_is_named(a_whisper: Maker) -> None:
    found = weights.read(str(a_whisper()), ["encoder"]).weights
    with pytest.raises(ModelError, match=r"must hold `encoder\.positions` with 2 axes"):
        sized({**found, "encoder.positions": torch.zeros(3)}, {"encoder": 4}, "it")
