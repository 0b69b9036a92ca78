"""Every encoder of speech is built by its configuration and keeps what `Encoder` promises."""

from typing import Any, get_args

import pytest
import torch

from noisewise.models import logmel_transformer
from noisewise.models.any_encoder import EncoderUnion, build_encoder
from noisewise.models.encoder import Encoder
from noisewise.models.wav2vec2 import encoder as wav2vec2

SMALL = {"logmel_transformer": logmel_transformer.tiny(), "wav2vec2": wav2vec2.tiny()}


@pytest.mark.parametrize("kind", SMALL)
def test_features_are_as_wide_and_as_many_as_promised_and_padding_is_zero(kind: str) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(SMALL[kind]).eval()  # type: ignore[arg-type]
    assert isinstance(encoder, Encoder)
    output = encoder(torch.randn(2, 32_000), torch.tensor([32_000, 20_000]))
    assert output.features.size(2) == encoder.dim
    assert abs(int(output.lengths[1]) - 20_000 / encoder.hop) <= 2
    assert not output.features[1, int(output.lengths[1]) :].any()


def test_no_two_members_have_one_kind() -> None:
    members: Any = get_args(EncoderUnion)
    assert len({member.kind for member in members}) == len(members) and SMALL.keys() < {each.kind for each in members}
