"""The batch."""

import torch

from noisewise.batch import Batch


def test_seconds_count_no_padding_and_to_moves_every_tensor() -> None:
    batch = Batch(
        waveform=torch.zeros(2, 32_000),
        lengths=torch.tensor([32_000, 8_000]),
        ids=["a", "b"],
        clean=torch.zeros(2, 32_000),
        tokens=torch.zeros(2, 3, dtype=torch.long),
        token_lengths=torch.tensor([3, 1]),
        vectors={"clap": torch.zeros(2, 3, 4)},
        vector_lengths={"clap": torch.tensor([3, 1])},
    )
    assert len(batch) == 2
    assert batch.seconds == 2.5
    moved = batch.to("meta")
    assert {value.device.type for value in vars(moved).values() if isinstance(value, torch.Tensor)} == {"meta"}
    assert moved.vectors["clap"].is_meta and moved.vector_lengths["clap"].is_meta
    assert moved.ids == ["a", "b"]
    assert batch.waveform.device.type == "cpu"
