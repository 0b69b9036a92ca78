"""Wav2code: Eq. 7 to 14 in a few plain lines, what each gradient reaches, and nothing that padding changes."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.models import logmel_transformer
from noisewise.models.wav2code.codebook_learning import (
    CodebookLearning,
    CodebookLearningConfig,
    CodebookOutput,
    squared_distance,
)
from noisewise.models.wav2code.iff_net import ConcatFusionConfig, IFFNetConfig, NoFusionConfig
from noisewise.models.wav2code.predictor import (
    CNNPredictor,
    CNNPredictorConfig,
    NearestConfig,
    TransformerPredictor,
    TransformerPredictorConfig,
)
from noisewise.models.wav2code.wav2code import Restoration, Wav2Code, Wav2CodeConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.front_end import AnyFrontEnd, LogMelFrontEnd, WaveformFrontEnd

PREDICTOR = TransformerPredictorConfig(layers=2, dim=16, heads=4, feed_forward=24)
PREDICTORS = {"transformer": PREDICTOR, "cnn": CNNPredictorConfig(dim=12), "nearest": NearestConfig()}
FUSION = IFFNetConfig(bottleneck=8, repeats=2)
FUSIONS = {"iff": FUSION, "concat": ConcatFusionConfig(kernel=3), "none": NoFusionConfig()}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def an_encoder(**changes: Any) -> Wav2Vec2Config:
    small: dict[str, Any] = {
        "front_end": WaveformFrontEnd(channels=16),
        "dim": 24, "layers": 1, "heads": 4, "feed_forward": 32, "position_kernel": 6,
        "position_groups": 4, "dropout": 0.0, "input_dropout": 0.0, "attention_dropout": 0.0, "layer_drop": 0.0,
        "feature_grad_mult": 1.0,
    }  # fmt: skip
    return Wav2Vec2Config(**{**small, **changes})


def a_learner(codes: int = 9) -> CodebookLearning:
    model = CodebookLearning(CodebookLearningConfig(encoder=an_encoder(), codes=codes)).eval()
    with torch.no_grad():
        model.codebook.entries.normal_()
    return model


def a_model(**changes: Any) -> Wav2Code:
    values: dict[str, Any] = {"encoder": an_encoder(), "codes": 9, "predictor": PREDICTOR, "fusion": FUSION}
    model = Wav2Code(Wav2CodeConfig(**{**values, "dropout": 0.0, **changes})).eval()
    with torch.no_grad():
        model.codebook.entries.normal_()
    return model


def a_batch(*samples: int) -> tuple[Tensor, Tensor]:
    waveform = torch.randn(len(samples), max(samples)) * 0.1
    for row, length in enumerate(samples):
        waveform[row, length:] = 7.0
    return waveform, torch.tensor(samples)


def test_equations_7_to_9_take_the_nearest_entry_of_each_frame() -> None:
    model = a_learner()
    waveform, lengths = a_batch(9_000, 6_000)
    output = model(waveform, lengths)
    clean = model.encoder(waveform, lengths)
    assert output.representations.equal(clean.features) and output.lengths.tolist() == [27, 18]
    for row in range(2):
        for frame in range(int(output.lengths[row])):
            distances = [(output.representations[row, frame] - code).norm().item() for code in model.codebook.entries]
            nearest = min(range(9), key=distances.__getitem__)
            assert output.ids[row, frame] == nearest
            assert output.quantized[row, frame].equal(model.codebook.entries[nearest])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equation_10_in_plain_code(reduction: Any) -> None:
    model = a_learner()
    output = model(*a_batch(9_000, 6_000))
    frames = [(row, frame) for row, count in enumerate(output.lengths.tolist()) for frame in range(count)]
    distances = [((output.representations[each] - output.quantized[each]) ** 2).sum() for each in frames]
    expected = torch.stack(distances).mean() / (24 if reduction == "mean" else 1)
    torch.testing.assert_close(model.codebook_loss(output, reduction), expected)
    torch.testing.assert_close(model.commitment_loss(output, reduction), expected)


def test_the_stop_gradients_of_equation_10() -> None:
    """The first term moves the codes and nothing else, towards the frames; the second the encoder and nothing else."""
    model = a_learner().train()
    batch = a_batch(9_000, 6_000)
    for term, moving in ((model.codebook_loss, "codebook."), (model.commitment_loss, "encoder.")):
        model.zero_grad()
        term(model(*batch)).backward()
        moved = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
        assert moved and all(name.startswith(moving) for name in moved)
    model.zero_grad()
    output = model(*batch)
    model.codebook_loss(output, "sum").backward()
    valid = torch.arange(27) < output.lengths[:, None]
    for code in range(9):
        mine = output.representations[valid & (output.ids == code)]
        expected = 2 * (model.codebook.entries[code] - mine).sum(dim=0) / 45
        assert model.codebook.entries.grad is not None
        torch.testing.assert_close(model.codebook.entries.grad[code], expected, atol=1e-5, rtol=1e-4)


def test_a_constant_encoder_and_one_code_on_it_make_equation_10_zero() -> None:
    """The collapse that nothing in Eq. 10 forbids (docs/wav2code.md)."""
    model = a_learner()
    constant = torch.randn(24).expand(2, 27, 24)
    with torch.no_grad():
        model.codebook.entries[4] = constant[0, 0]
    ids = model.codebook.nearest(constant)
    output = CodebookOutput(constant, model.codebook.lookup(ids), ids, torch.tensor([27, 18]))
    assert (ids == 4).all()
    assert model.codebook_loss(output).item() == model.commitment_loss(output).item() == 0


def plain_layer(layer: Any, x: Tensor) -> Tensor:
    """Eq. 11 and 12 for one utterance, head after head. (F, D) -> (F, D)"""

    def norm(values: Tensor, by: nn.LayerNorm) -> Tensor:
        centred = values - values.mean(dim=1, keepdim=True)
        return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt() * by.weight + by.bias

    def linear(values: Tensor, by: nn.Linear) -> Tensor:
        return values @ by.weight.T + by.bias

    attention, width = layer.attention, x.size(1) // layer.attention.heads
    query, key, value = (
        linear(x, each).split(width, dim=1) for each in (attention.query, attention.key, attention.value)
    )
    heads = [torch.softmax(q @ k.T / math.sqrt(width), dim=1) @ v for q, k, v in zip(query, key, value, strict=True)]
    h = norm(x + linear(torch.cat(heads, dim=1), attention.output), layer.attention_norm)  # Eq. 11
    inner = linear(h, layer.feed_forward.inner)
    inner = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2  # GELU
    return norm(h + linear(inner, layer.feed_forward.outer), layer.feed_forward_norm)  # Eq. 12


def test_equations_11_and_12_in_plain_code() -> None:
    predictor = TransformerPredictor(PREDICTOR, dim=24, codes=9).eval()
    with torch.no_grad():
        for value in predictor.parameters():
            value.add_(torch.randn_like(value) * 0.2)
    noisy, lengths = torch.randn(2, 12, 24), torch.tensor([12, 7])
    logits = predictor(noisy, lengths)
    for row, count in enumerate(lengths.tolist()):
        x = noisy[row, :count] @ predictor.input.weight.T + predictor.input.bias  # X_0 = Project(Z_n)
        for layer in predictor.transformer.layers:
            x = plain_layer(layer, x)
        expected = x @ predictor.output.weight.T + predictor.output.bias
        torch.testing.assert_close(logits[row, :count], expected, atol=1e-4, rtol=1e-4)


def test_positions_make_the_predictor_tell_frames_apart() -> None:
    noisy, lengths = torch.randn(1, 1, 24).expand(1, 5, 24), torch.tensor([5])
    for positions, alike in (("none", True), ("sinusoidal", False)):
        config = TransformerPredictorConfig(layers=1, dim=16, heads=4, feed_forward=24, positions=positions)  # type: ignore[arg-type]
        logits = TransformerPredictor(config, 24, 9).eval()(noisy, lengths)
        assert torch.allclose(logits[0, 0], logits[0, 4], atol=1e-5) == alike


def test_the_convolutional_predictor_in_plain_code() -> None:
    predictor = CNNPredictor(CNNPredictorConfig(dim=12, kernel=3), dim=24, codes=9)
    noisy = torch.randn(2, 12, 24)
    logits = predictor(noisy, torch.tensor([12, 7]))
    x = noisy[1, :7]
    for convolution in (predictor.first, predictor.second):
        padded = torch.cat((torch.zeros(1, x.size(1)), x, torch.zeros(1, x.size(1))))
        rows = [sum(padded[t + k] @ convolution.weight[:, :, k].T for k in range(3)) for t in range(7)]
        x = F.gelu(torch.stack(rows) + convolution.bias)  # type: ignore[arg-type]
    torch.testing.assert_close(logits[1, :7], predictor.output(x), atol=1e-5, rtol=1e-4)


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
    weights = model._choice(logits)
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
    weights = model._choice(torch.randn(1, 5, 9))
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
    torch.testing.assert_close(own, pull)  # straight through to what was heard


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
    expected = torch.cat((output.noisy, output.restored), dim=-1) @ model.fusion.convolution.weight[:, :, 0].T  # type: ignore[union-attr, index, operator]
    torch.testing.assert_close(output.fused, expected + model.fusion.convolution.bias, atol=1e-5, rtol=1e-4)  # type: ignore[union-attr, operator, arg-type]
    log_probs = torch.log_softmax(output.fused @ model.head.weight.T + model.head.bias, dim=-1)
    torch.testing.assert_close(model.recognise(output), log_probs, atol=1e-5, rtol=1e-4)


def test_other_encoders_have_the_place_of_ew2() -> None:
    model = a_model(encoder=logmel_transformer.tiny())
    log_probs, frames = model.log_probs(*a_batch(16_000, 8_000))
    assert log_probs.shape[0] == 2 and log_probs.size(1) == int(frames.max()) and model.hop == model.encoder.hop


def test_squared_distance_is_zero_in_padding() -> None:
    first, second, lengths = torch.randn(2, 4, 3), torch.randn(2, 4, 3), torch.tensor([4, 1])
    found = squared_distance(first, second, lengths, "sum")
    torch.testing.assert_close(found[0], ((first[0] - second[0]) ** 2).sum(dim=1))
    assert found[1, 0] > 0 and not found[1, 1:].any()


def test_under_autocast_it_is_nearly_the_same() -> None:
    model = a_model(predictor=NearestConfig())
    batch = a_batch(9_000, 6_000)
    exact = model.restore(*batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model.restore(*batch)
        log_probs = model.recognise(rough)
    assert log_probs.dtype == torch.float32 and log_probs.isfinite().all()
    assert (rough.ids == exact.ids)[0].float().mean() > 0.9
