"""Every kind of encoder takes and gives what the interface has."""

import inspect

import pytest
import torch

from noisewise.embeddings.encoders.function import FunctionEncoder
from noisewise.embeddings.encoders.huggingface import HuggingFaceEncoder
from noisewise.embeddings.encoders.noisewise_model import NoisewiseEncoder
from noisewise.embeddings.encoders.protocol import Encoding, FrozenEncoder


@pytest.mark.parametrize("kind", [FunctionEncoder, HuggingFaceEncoder, NoisewiseEncoder])
def test_signatures_are_those_of_the_interface(kind: type[FrozenEncoder]) -> None:
    assert inspect.signature(kind.encode) == inspect.signature(FrozenEncoder.encode)
    assert FrozenEncoder in kind.__mro__ and kind.encode is not FrozenEncoder.encode


def test_an_encoding_may_be_of_frames_alone() -> None:
    frames = torch.zeros(3, 2)
    found = Encoding(frames)
    assert found.frames is frames and found.cls is None and found.pooler is None
