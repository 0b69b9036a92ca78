"""Stage 3 of Wav2code: Eq. 11 to 14 in a few plain lines, what each gradient reaches, padding that changes nothing."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from noisewise.models import logmel_transformer
from noisewise.models.wav2code.iff_net import ConcatFusionConfig
from noisewise.models.wav2code.predictor import (
    CNNPredictorConfig,
    NearestConfig,
)
from noisewise.models.wav2code.wav2code import Restoration
from noisewise.models.wav2vec2.front_end import AnyFrontEnd, LogMelFrontEnd, WaveformFrontEnd
from tests.models.wav2code.small import FUSIONS, PREDICTORS, a_batch, a_model, an_encoder


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_in_evaluation_the_most_probable_code_is_looked_up() -> None:
    model = a_model()
    output = model.restore(*a_batch(9_000, 6_000))
    assert output.logits is not None and output.ids.equal(output.logits.argmax(dim=-1))
    assert output.restored[0].equal(model.codebook.entries[output.ids[0]])
    assert output.restored[1, :18].equal(model.codebook.entries[output.ids[1, :18]])
    assert not output.restored[1, 18:].any()


@pytest.mark.parametrize("noise", [True, False])
def test_the_look_up_is_straight_through(noise: bool) -> None:
    """Forward an entry as it is; backward as if the entries were weighted by the softmax over the temperature."""
    model = a_model(gumbel_noise=noise, gumbel_temperature=0.7).train()
    logits = torch.randn(2, 27, 9, requires_grad=True)
    torch.manual_seed(3)
    weights = model._code_weights(logits)
    restored = model.codebook.select(weights)
    torch.manual_seed(3)
    gumbel = -torch.empty(2, 27, 9).exponential_().log() if noise else torch.zeros(2, 27, 9)
    soft = ((logits + gumbel) / 0.7).softmax(dim=-1)
    torch.testing.assert_close(restored, model.codebook.entries[soft.argmax(dim=-1)])
    pull = torch.randn(2, 27, 24)
    own = torch.autograd.grad((restored * pull).sum(), logits, retain_graph=True)[0]
    expected = torch.autograd.grad(((soft @ model.codebook.entries) * pull).sum(), logits)[0]
    torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-4)
    assert own.abs().sum() > 0


@pytest.mark.parametrize("training", [True, False])
def test_a_soft_look_up_is_the_mean_of_the_entries_by_their_probability(training: bool) -> None:
    model = a_model(look_up="soft", gumbel_noise=False, gumbel_temperature=0.7).train(training)
    output = model.restore(*a_batch(9_000))
    assert output.logits is not None
    mean = (output.logits / 0.7).softmax(dim=-1) @ model.codebook.entries
    torch.testing.assert_close(output.restored, mean)
    assert output.ids.equal(output.logits.argmax(dim=-1))


def test_a_soft_look_up_draws_only_in_training() -> None:
    model = a_model(look_up="soft", predictor=CNNPredictorConfig(dim=12))
    batch = a_batch(9_000)
    assert model.eval().restore(*batch).restored.equal(model.restore(*batch).restored)
    assert not model.train().restore(*batch).restored.equal(model.restore(*batch).restored)
    weights = model._code_weights(torch.randn(1, 5, 9))
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 5))


def test_without_noise_training_repeats_and_with_it_it_does_not() -> None:
    batch = a_batch(9_000)
    for noise, same in ((False, True), (True, False)):
        model = a_model(gumbel_noise=noise, predictor=CNNPredictorConfig(dim=12)).train()
        assert model.restore(*batch).ids.equal(model.restore(*batch).ids) == same


def test_nearest_matching_takes_the_nearest_entry_of_noisy_frames() -> None:
    model = a_model(predictor=NearestConfig()).train()
    output = model.restore(*a_batch(9_000))
    assert output.logits is None
    assert output.ids.equal(model.codebook.nearest(output.noisy))
    torch.testing.assert_close(output.restored, model.codebook.entries[output.ids], atol=1e-6, rtol=0)
    assert model.prediction_loss(output, output.ids).tolist() == [0.0]
    pull = torch.randn(1, 27, 24)
    own = torch.autograd.grad((output.restored * pull).sum(), output.noisy)[0]
    torch.testing.assert_close(own, pull)  # straight through to the noisy representations


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equation_13_in_plain_code(reduction: Any) -> None:
    """L_pred = E_t(-log p_t(e_t)), L_res = ||Z_n^q - sg(Z_c)||^2 (mean over the width), each utterance by itself."""
    model = a_model().train()
    output = model.restore(*a_batch(9_000, 6_000))
    clean, ids = torch.randn(2, 27, 24, requires_grad=True), torch.randint(9, (2, 27))
    assert output.logits is not None
    for row, count in enumerate(output.lengths.tolist()):
        chances = output.logits[row].softmax(dim=-1)
        predicted = torch.stack([-chances[t, ids[row, t]].log() for t in range(count)])
        distances = torch.stack([((output.restored[row, t] - clean[row, t]) ** 2).mean() for t in range(count)])
        for found, expected in (
            (model.prediction_loss(output, ids, reduction)[row], predicted),
            (model.restoration_loss(output, clean, reduction)[row], distances),
        ):
            torch.testing.assert_close(found, getattr(expected, reduction)(), atol=1e-4, rtol=1e-4)
    model.restoration_loss(output, clean, reduction).sum().backward()
    assert clean.grad is None, "sg(Z_c)"


def test_a_clean_code_that_is_sure_and_right_costs_nothing() -> None:
    model = a_model()
    ids = torch.randint(9, (1, 5))
    zeros, lengths = torch.zeros(1, 5, 24), torch.tensor([5])
    sure = Restoration(zeros, zeros, zeros, ids, F.one_hot(ids, 9) * 60.0, lengths)
    assert model.prediction_loss(sure, ids).item() < 1e-6
    assert model.prediction_loss(sure, (ids + 1) % 9).item() > 50


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("front_end", [WaveformFrontEnd(channels=16), LogMelFrontEnd(bins=40, channels=16)], ids=str)
def test_padding_and_batch_change_nothing(predictor: str, fusion: str, front_end: AnyFrontEnd) -> None:
    """A batch of eight is eight batches of one, whatever stands in the padding."""
    model = a_model(encoder=an_encoder(front_end=front_end), predictor=PREDICTORS[predictor], fusion=FUSIONS[fusion])
    lengths = [9_000, 9_000, 8_000, 7_777, 6_000, 4_000, 1_000, 3_210]
    waveform, counts = a_batch(*lengths)
    with torch.inference_mode():
        log_probs, frames = model.log_probs(waveform, counts)
        for row, samples in enumerate(lengths):
            alone, own = model.log_probs(waveform[row : row + 1, :samples], counts[row : row + 1])
            assert own.item() == frames[row].item()
            torch.testing.assert_close(log_probs[row, : int(own)], alone[0, : int(own)], atol=1e-4, rtol=0)


def test_every_gradient_arrives_and_padding_sends_none() -> None:
    model = a_model(encoder=an_encoder(time_mask_probability=0.65)).train()
    waveform, lengths = a_batch(9_000, 6_000)
    waveform.requires_grad_()
    output = model.restore(waveform, lengths)
    (model.recognise(output)[:, :, 3] * (torch.arange(27) < output.lengths[:, None])).sum().backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert not [name for name in silent if not name.endswith("key.bias")]  # a key's bias moves all scores alike
    assert waveform.grad is not None and not waveform.grad[1, 6_000:].any()


def test_the_prediction_loss_reaches_predictor_and_encoder_alone_and_restoration_also_the_codes() -> None:
    ids = torch.randint(9, (2, 27))
    clean = torch.randn(2, 27, 24)
    wanted = {"prediction_loss": {"encoder", "predictor"}, "restoration_loss": {"encoder", "predictor", "codebook"}}
    for term, target in (("prediction_loss", ids), ("restoration_loss", clean)):
        model = a_model().train()
        getattr(model, term)(model.restore(*a_batch(9_000, 6_000)), target).sum().backward()
        moved = {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None}
        assert moved == wanted[term]


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_an_utterance_without_a_frame_harms_none(predictor: str) -> None:
    model = a_model(predictor=PREDICTORS[predictor]).train()
    output = model.restore(*a_batch(9_000, 200))
    assert output.lengths.tolist() == [27, 0]
    clean, ids = torch.randn(2, 27, 24), torch.randint(9, (2, 27))
    losses = model.prediction_loss(output, ids) + model.restoration_loss(output, clean)
    total = losses.sum() + model.recognise(output)[0].sum()
    assert losses[1] == 0 and total.isfinite()
    total.backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())


def test_the_head_hears_the_fusion_of_noisy_and_restored() -> None:
    model = a_model(fusion=ConcatFusionConfig())
    output = model.restore(*a_batch(9_000))
    expected = torch.cat((output.noisy, output.restored), dim=-1) @ model.fusion.convolution.weight[:, :, 0].T
    torch.testing.assert_close(output.fused, expected + model.fusion.convolution.bias, atol=1e-5, rtol=1e-4)
    log_probs = torch.log_softmax(output.fused @ model.head.weight.T + model.head.bias, dim=-1)
    torch.testing.assert_close(model.recognise(output), log_probs, atol=1e-5, rtol=1e-4)


def test_other_encoders_have_the_place_of_ew2() -> None:
    model = a_model(encoder=logmel_transformer.tiny())
    log_probs, frames = model.log_probs(*a_batch(16_000, 8_000))
    assert log_probs.shape[0] == 2 and log_probs.size(1) == int(frames.max()) and model.hop == model.encoder.hop


def test_under_autocast_it_is_nearly_the_same() -> None:
    model = a_model(predictor=NearestConfig())
    batch = a_batch(9_000, 6_000)
    exact = model.restore(*batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model.restore(*batch)
        log_probs = model.recognise(rough)
    assert log_probs.dtype == torch.float32 and log_probs.isfinite().all()
    assert (rough.ids == exact.ids)[0].float().mean() > 0.9
