"""EW2: noisy in, clean as targets, one feature encoder; Eq. 1 to 6 of Wav2code in a few plain lines."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.models.wav2vec2.encoder import tiny
from noisewise.models.wav2vec2.ew2 import EW2, EW2Config
from noisewise.models.wav2vec2.pretraining import ContrastConfig, Wav2Vec2Pretraining

STILL: dict[str, Any] = {"dropout": 0.0, "input_dropout": 0.0, "attention_dropout": 0.0, "layer_drop": 0.0}
SMALL = ContrastConfig(mask_span=3, entries=6, quantized_dim=12, contrast_dim=10, negatives=5, feature_dropout=0.0)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def a_model(encoder: dict[str, Any] | None = None, **changes: Any) -> EW2:
    config = EW2Config(encoder=replace(tiny(), **{**STILL, **(encoder or {})}), contrast=SMALL, **changes)
    return EW2(config).eval()


def a_pair(*samples: int) -> tuple[Tensor, Tensor, Tensor]:
    clean = torch.randn(len(samples), max(samples)) * 0.1
    return clean + torch.randn_like(clean) * 0.05, clean, torch.tensor(samples)


def alone(model: EW2, waveform: Tensor, lengths: Tensor) -> list[Tensor]:
    """f(X) of each utterance by itself, at its own length. (F, C) each"""
    return [
        model.encoder.latents(waveform[row : row + 1, :samples], lengths[row : row + 1])[0][0]
        for row, samples in enumerate(lengths.tolist())
    ]


def test_equation_1_is_one_feature_encoder_for_both() -> None:
    model = a_model()
    noisy, clean, lengths = a_pair(9_000, 6_000)
    output = model.forward_pair(noisy, clean, lengths)
    for row, (from_noisy, target) in enumerate(
        zip(alone(model, noisy, lengths), alone(model, clean, lengths), strict=True)
    ):
        torch.testing.assert_close(output.contrast.latents[row, : len(from_noisy)], from_noisy, atol=1e-5, rtol=0)
        torch.testing.assert_close(output.clean[row, : len(target)], target, atol=1e-5, rtol=0)
    assert output.contrast.frames.tolist() == [27, 18]


def test_equations_2_and_3_the_context_is_noisy_and_the_targets_are_clean() -> None:
    model = a_model()
    noisy, clean, lengths = a_pair(9_000)

    def found(from_noisy: Tensor, target: Tensor) -> Tensor:
        torch.manual_seed(1)
        return model.forward_pair(from_noisy, target, lengths).contrast.similarities

    torch.manual_seed(1)
    output = model.forward_pair(noisy, clean, lengths).contrast
    where = output.where[0]
    features = model.encoder.project(alone(model, noisy, lengths)[0][None])
    features[0, where] = model.encoder.mask_embedding
    context = model.context_projection(model.encoder.contextualise(features, output.frames)[0, where])
    quantized = model.quantizer(model.encoder.norm(alone(model, clean, lengths)[0][where]), 1.0)
    assert output.quantized.ids.equal(quantized.ids)
    own = torch.cosine_similarity(context, model.target_projection(quantized.vectors)) / 0.1
    torch.testing.assert_close(output.similarities[:, 0], own, atol=1e-4, rtol=0)
    assert not found(clean, clean).allclose(found(noisy, clean))
    assert not found(noisy, noisy).allclose(found(noisy, clean))


def test_with_nothing_added_it_is_wav2vec_2() -> None:
    model = a_model()
    _, clean, lengths = a_pair(9_000, 6_000)
    torch.manual_seed(1)
    pair = model.forward_pair(clean, clean, lengths)
    torch.manual_seed(1)
    plain = model(clean, lengths)
    torch.testing.assert_close(pair.contrast.similarities, plain.similarities, atol=1e-4, rtol=0)
    torch.testing.assert_close(model.pair_feature_penalty(pair), model.feature_penalty(plain))
    assert model.consistency_loss(pair).item() < 1e-9


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("after_norm", [True, False])
def test_equation_6_is_the_squared_distance_of_each_valid_frame(reduction: str, after_norm: bool) -> None:
    model = a_model(consistency_reduction=reduction, consistency_after_norm=after_norm)
    with torch.no_grad():
        model.encoder.norm.weight.uniform_(0.5, 2)
    noisy, clean, lengths = a_pair(9_000, 6_000)
    norm = model.encoder.norm if after_norm else torch.nn.Identity()
    distances = [
        ((norm(from_noisy[t]) - norm(target[t])) ** 2).sum()
        for from_noisy, target in zip(alone(model, noisy, lengths), alone(model, clean, lengths), strict=True)
        for t in range(len(from_noisy))
    ]
    expected = torch.stack(distances).mean() / (1 if reduction == "sum" else 32)
    found = model.consistency_loss(model.forward_pair(noisy, clean, lengths))
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-4)


def test_the_feature_penalty_is_the_mean_over_both_branches() -> None:
    model = a_model()
    noisy, clean, lengths = a_pair(9_000, 6_000)
    squares = [
        torch.cat(alone(model, waveform, lengths)).square().mean() for waveform in (noisy, clean * 0)
    ]  # fmt: skip
    assert squares[0] > 1.5 * squares[1]
    found = model.pair_feature_penalty(model.forward_pair(noisy, clean * 0, lengths))
    torch.testing.assert_close(found, (squares[0] + squares[1]) / 2, atol=1e-7, rtol=1e-4)


def gradients(model: EW2, term: str) -> tuple[Tensor, Tensor]:
    """What a term sends to the latents: noisy, clean. (B, F, C) each"""
    kept: list[Tensor] = []
    plain = model.encoder.latents

    def watched(waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        latents, frames = plain(waveform, lengths)
        latents.retain_grad()
        kept.append(latents)
        return latents, frames

    model.encoder.latents = watched  # type: ignore[method-assign]
    torch.manual_seed(7)
    output = model.forward_pair(*a_pair(9_000))
    argument = output if term in ("consistency_loss", "pair_feature_penalty") else output.contrast
    getattr(model, term)(argument).backward()
    noisy, clean = (torch.zeros(2, 27, 32) if kept[0].grad is None else kept[0].grad).chunk(2)
    return noisy, clean


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize(
    ("term", "noisy", "clean"),
    [
        ("contrastive_loss", True, True),
        ("diversity_loss", False, True),
        ("pair_feature_penalty", True, True),
        ("consistency_loss", True, True),
    ],
)
def test_what_each_term_sends_to_either_branch(term: str, noisy: bool, clean: bool, detach: bool) -> None:
    """L_d knows the targets alone; with `clean_detach` no term teaches through the clean branch."""
    from_noisy, target = gradients(a_model({"feature_grad_mult": 1.0}, clean_detach=detach).train(), term)
    assert bool(from_noisy.abs().sum() > 0) == noisy
    assert bool(target.abs().sum() > 0) == (clean and not detach)


def test_the_quantizer_learns_even_from_detached_targets() -> None:
    model = a_model(clean_detach=True).train()
    model.contrastive_loss(model.forward_pair(*a_pair(9_000)).contrast).backward()
    for value in (model.quantizer.logits.weight, model.quantizer.entries, model.target_projection.weight):
        assert value.grad is not None and value.grad.abs().sum() > 0


def test_the_consistency_loss_moves_feature_encoder_and_norm_alone() -> None:
    model = a_model().train()
    with torch.no_grad():
        model.encoder.norm.bias.uniform_(-1, 1)
    model.consistency_loss(model.forward_pair(*a_pair(9_000, 6_000))).backward()
    moved = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert moved and all(name.startswith(("encoder.cnn.", "encoder.norm.weight")) for name in moved)


def test_the_parts_are_those_of_wav2vec_2() -> None:
    """So that one goes on where the other stopped."""
    model = a_model()
    assert isinstance(model, Wav2Vec2Pretraining)
    assert (
        model.state_dict().keys()
        == Wav2Vec2Pretraining(type("Config", (), {"encoder": model.config.encoder, "contrast": SMALL})())
        .state_dict()
        .keys()
    )
