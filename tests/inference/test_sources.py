"""Everything that can be transcribed, as samples; and what is said of everything else."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noisewise.audio import waveform
from noisewise.errors import AudioError
from noisewise.inference.sources import Input, as_input, by_channel, is_one

TONE = (0.5 * np.sin(np.arange(16_000) / 9)).astype(np.float32)


def samples(found: Input) -> Any:
    return np.concatenate(list(found.blocks(0.3)))


def test_all_kinds_of_sources_hold_the_same(tmp_path: Path) -> None:
    waveform.save(tmp_path / "a.wav", TONE)
    content = (tmp_path / "a.wav").read_bytes()
    small = np.round(TONE * 32768).astype(np.int16)
    with (tmp_path / "a.wav").open("rb") as file:
        sources: list[Any] = [
            *(tmp_path / "a.wav", str(tmp_path / "a.wav"), content, bytearray(content), io.BytesIO(content), file),
            *(
                TONE,
                TONE.astype(np.float64),
                TONE[None],
                TONE[:, None],
                TONE.tolist(),
                small,
                small.astype(np.int32) << 16,
            ),
            *(torch.from_numpy(TONE), torch.from_numpy(TONE)[None].requires_grad_(), torch.from_numpy(small)),
            *((TONE, 16_000), (16_000, small), (torch.from_numpy(TONE), np.int64(16_000)), (TONE.tolist(), 16_000)),
        ]
        for source in sources:
            assert is_one(source)
            found = as_input(source)
            assert found.seconds == 1.0
            np.testing.assert_allclose(samples(found), TONE, atol=1e-4)


def test_samples_are_resampled_from_their_rate() -> None:
    for source, rate in (((TONE, 8000), 16_000), (TONE, 8000), (TONE.tolist(), 8000)):
        assert as_input(source, sample_rate=rate).seconds == 2.0


def test_several_sources_are_told_from_one() -> None:
    for many in ([TONE, TONE], (TONE, TONE), ["a.wav"], ("a.wav", "b.wav"), [(TONE, 8000)], [], iter([TONE])):
        assert not is_one(many)
    for one in ("a.wav", [0.1, 0.2], (0.1, 0.2), TONE, np.zeros((2, 5)), 3, None, {"a"}.pop()):
        assert is_one(one)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (np.zeros((2, 16_000)), r"one channel.*x\.mean\(axis=0\)"),
        (np.zeros((16_000, 2)), r"one channel.*x\.mean\(axis=1\)"),
        (np.zeros((2, 3, 4)), r"must be samples \(T,\)"),
        (np.zeros(9, np.int64), "int64.*convert it"),
        (np.zeros(9, bool), "bool"),
        (np.zeros(9, complex), "complex"),
        (np.zeros(0), "0 samples"),
        (torch.full((9,), torch.nan), "finite"),
        ((TONE, 44), "`sample_rate` must be 1000"),
        (None, "must be a path, bytes.*NoneType"),
        (42, "must be a path, bytes.*int"),
        ({"audio": TONE}, "must be a path, bytes.*dict"),
        (io.StringIO("text"), "open as bytes"),
    ],
)
def test_anything_else_is_told_what_to_do(source: Any, sentence: str) -> None:
    found = as_input(source, 7)
    assert found.seconds == 0.0
    with pytest.raises(AudioError, match=sentence):
        samples(found)


def test_channels_are_split_where_they_are_two_speakers(tmp_path: Path) -> None:
    import soundfile

    random = np.random.default_rng(0)
    noise = 0.1 * random.standard_normal((4 * 16_000, 2))
    turns = np.repeat(np.arange(4) % 2, 16_000)
    soundfile.write(tmp_path / "call.wav", noise * np.stack([turns, 1 - turns], axis=1) + 1e-4 * noise, 16_000)
    soundfile.write(tmp_path / "stereo.wav", np.stack([noise[:, 0], noise[:, 0]], axis=1), 16_000)
    call, stereo = as_input(tmp_path / "call.wav"), as_input(tmp_path / "stereo.wav")
    assert [each.channel for each in by_channel(call)] == [1, 2]
    assert [each.channel for each in by_channel(stereo)] == [None]
    assert [each.channel for each in by_channel(stereo, "split")] == [1, 2]
    assert [each.channel for each in by_channel(call, "mix")] == [None]
    (second,) = by_channel(call, [2])
    np.testing.assert_allclose(samples(second), waveform.load(tmp_path / "call.wav", channels=[2])[0])
    (missing,) = by_channel(call, [3])
    assert "numbers from 1 to 2" in str(missing.fault)
    assert by_channel(as_input(TONE), "split")[0].channel is None
    with pytest.raises(AudioError, match="must be mix, split, auto or numbers"):
        by_channel(call, "both")  # type: ignore[arg-type]


def test_a_part_equals_the_same_part_of_the_whole_and_a_cut_one_says_so_at_its_end(tmp_path: Path) -> None:
    waveform.save(tmp_path / "a.wav", TONE)
    part = Input("a", tmp_path / "a.wav", start=0.25, duration=0.5)
    np.testing.assert_allclose(samples(part), TONE[4000:12_000], atol=1e-4)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) * 3 // 4])
    for cut in (Input("c", tmp_path / "cut.wav"), Input("c", tmp_path / "cut.wav", start=0.25)):
        got: list[Any] = []
        with pytest.raises(AudioError) as error:
            got.extend(cut.blocks(0.3))
        assert error.value.reason == "truncated"
