"""wav2vec 2.0 pre-training: its equations in a few plain lines, masks, distractors; parity with transformers."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noisewise.checkpoints.foreign import huggingface
from noisewise.models.wav2vec2 import pretraining as wav2vec2_pretraining
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config, tiny
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd, WaveformFrontEnd
from noisewise.models.wav2vec2.pretraining import (
    ContrastConfig,
    Wav2Vec2Pretraining,
    Wav2Vec2PretrainingConfig,
    contrastive_logits,
    sample_negatives,
)

STILL: dict[str, Any] = {"dropout": 0.0, "input_dropout": 0.0, "attention_dropout": 0.0, "layer_drop": 0.0}
SMALL = ContrastConfig(
    mask_span=3, entries=6, quantized_dim=12, contrast_dim=10, negatives=5, feature_dropout=0.0
)  # fmt: skip


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def a_model(contrast: ContrastConfig = SMALL, **encoder: Any) -> Wav2Vec2Pretraining:
    config = Wav2Vec2PretrainingConfig(encoder=replace(tiny(), **{**STILL, **encoder}), contrast=contrast)
    return Wav2Vec2Pretraining(config).eval()


def a_batch(*samples: int) -> tuple[Tensor, Tensor]:
    waveform = torch.randn(len(samples), max(samples)) * 0.1
    return waveform, torch.tensor(samples)


def all_others(frames: int, negatives: int, device: torch.device) -> Tensor:
    """Every other frame once, in order."""
    return torch.tensor([[other for other in range(frames) if other != own] for own in range(frames)])


def test_equation_3_in_plain_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """-log exp(sim(c_t, q_t) / kappa) / sum over q_t and its distractors, one utterance and one frame at a time."""
    monkeypatch.setattr(wav2vec2_pretraining, "sample_negatives", all_others)
    model = a_model()
    waveform, lengths = a_batch(16_000)
    output = model(waveform, lengths)
    latents = model.encoder.latents(waveform, lengths)[0]
    features = model.encoder.project(latents)
    where = output.where[0]
    features[0, where] = model.encoder.mask_embedding
    context = model.encoder.contextualise(features, output.frames)[0]
    hidden = where.nonzero().flatten().tolist()
    chosen = {t: model.quantizer(model.encoder.norm(latents[0, t : t + 1]), 1.0) for t in hidden}
    targets = {t: model.target_projection(found.vectors)[0] for t, found in chosen.items()}
    losses = []
    for t in hidden:
        own = model.context_projection(context[t])
        score = {s: torch.dot(own, targets[s]) / own.norm() / targets[s].norm() / 0.1 for s in hidden}
        unlike = [s for s in hidden if s == t or not chosen[s].ids.equal(chosen[t].ids)]
        losses.append(-torch.log(score[t].exp() / sum(score[s].exp() for s in unlike)))
    assert 0 < len(hidden) < 49 and any(chosen[s].ids.equal(chosen[t].ids) for s in hidden for t in hidden if s < t), (
        "the case must hold duplicates"
    )
    torch.testing.assert_close(model.contrastive_loss(output), torch.stack(losses).mean(), atol=1e-4, rtol=1e-4)


def test_equation_4_is_the_share_of_unused_entries() -> None:
    """(GV - sum over groups of exp(H(mean softmax))) / GV (fairseq's form, specs A.6), over hidden frames alone."""
    model = a_model().train()
    waveform, lengths = a_batch(12_000, 9_000)
    output = model(waveform, lengths)
    latents = model.encoder.latents(waveform, lengths)[0][output.where]
    mean = model.quantizer.logits(model.encoder.norm(latents)).view(-1, 2, 6).softmax(dim=-1).mean(dim=0)
    used = torch.exp(-(mean * mean.log()).sum(dim=-1)).sum()
    torch.testing.assert_close(model.diversity_loss(output), (12 - used) / 12, atol=1e-5, rtol=1e-4)


def test_the_feature_penalty_is_the_mean_square_before_any_norm_of_valid_frames() -> None:
    model = a_model()
    waveform, lengths = a_batch(12_000, 6_000)
    output = model(waveform, lengths)
    alone = [
        model.encoder.cnn(waveform[row : row + 1, :samples], lengths[row : row + 1])[0]
        for row, samples in enumerate(lengths.tolist())
    ]
    expected = torch.cat([latents.flatten() for latents in alone]).square().mean()
    torch.testing.assert_close(model.feature_penalty(output), expected, atol=1e-6, rtol=1e-4)


def test_what_is_hidden_is_not_heard() -> None:
    """Other latents under the mask change nothing; others beside it do."""
    model = a_model()
    latents = torch.randn(1, 30, 32)
    frames = torch.tensor([30])

    def similarities(changed: Tensor) -> Tensor:
        torch.manual_seed(5)
        return model.masked_contrast(changed, latents, frames, 0).similarities

    torch.manual_seed(5)
    where = model.masked_contrast(latents, latents, frames, 0).where.unsqueeze(-1)
    assert similarities(torch.where(where, torch.randn(1, 30, 32), latents)).equal(similarities(latents))
    assert not similarities(torch.where(where, latents, torch.randn(1, 30, 32))).allclose(similarities(latents))


def test_distractors_are_the_other_hidden_frames_of_the_same_utterance_and_all_of_them() -> None:
    counts = torch.tensor([3, 0, 5])
    context, targets, ids = torch.randn(8, 4), torch.randn(8, 4), torch.arange(8)[:, None]
    found = contrastive_logits(context, targets, ids, counts, 200)
    cosines = F.normalize(context, dim=1) @ F.normalize(targets, dim=1).T
    for row in range(8):
        torch.testing.assert_close(found[row, 0], cosines[row, row])
        mates = [other for other in (range(3) if row < 3 else range(3, 8)) if other != row]
        drawn = {round(value, 4) for value in found[row, 1:].tolist()}
        assert drawn == {round(cosines[row, other].item(), 4) for other in mates}


def test_distractors_are_drawn_evenly_and_never_the_frame_itself() -> None:
    drawn = sample_negatives(5, 20_000, torch.device("cpu"))
    for own in range(5):
        shares = drawn[own].bincount(minlength=5) / 20_000
        expected = torch.full((5,), 0.25)
        expected[own] = 0
        torch.testing.assert_close(shares, expected, atol=0.015, rtol=0)


def test_a_distractor_with_the_same_entries_counts_nothing() -> None:
    ids = torch.tensor([[1, 2], [1, 2], [1, 3], [0, 2]])  # frames 0 and 1 are alike in both groups
    found = contrastive_logits(torch.randn(4, 4), torch.randn(4, 4), ids, torch.tensor([4]), 300)
    silent = found.isneginf()
    assert not silent[:, 0].any() and silent[0].any() and silent[1].any() and not silent[2:].any()
    assert (~silent[0, 1:]).any()


def test_an_utterance_whose_targets_are_all_alike_teaches_nothing_and_harms_nothing() -> None:
    context = torch.randn(4, 4, requires_grad=True)
    found = contrastive_logits(context, torch.randn(4, 4), torch.zeros(4, 2, dtype=torch.long), torch.tensor([4]), 10)
    losses = found.logsumexp(dim=-1) - found[:, 0]
    losses.sum().backward()
    assert losses.abs().max() < 1e-6 and context.grad is not None and context.grad.isfinite().all()


def test_similarities_are_in_float32_under_autocast() -> None:
    context, targets = torch.randn(6, 32), torch.randn(6, 32)
    ids, counts = torch.arange(6)[:, None], torch.tensor([6])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = contrastive_logits(context, targets, ids, counts, 1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[:, 0], F.cosine_similarity(context, targets), atol=1e-6, rtol=0)


def test_masks_have_the_statistics_of_fairseq() -> None:
    """`compute_mask_indices` as specs A.5 describes it, static lengths, at 15 s: 49 % hidden, spans of 14.7."""
    frames, utterances = 750, 150
    model = a_model(
        replace(SMALL, mask_span=10),
        front_end=WaveformFrontEnd(channels=8),
        dim=8,
        heads=2,
        feed_forward=8,
        position_groups=2,
    )
    with torch.no_grad():
        ours = model.masked_contrast(torch.zeros(utterances, frames, 8), torch.zeros(utterances, frames, 8),
                             torch.full((utterances,), frames), 0).where.numpy()  # fmt: skip
    random = np.random.default_rng(0)
    theirs = np.stack([fairseq_mask(random, frames) for _ in range(utterances)])
    for found in (ours, theirs):
        assert found.mean() == pytest.approx(0.49, abs=0.01)
        assert spans(found).mean() == pytest.approx(14.7, abs=0.5)
    edges = np.arange(10, 80, 5)
    shares = [np.histogram(spans(found), bins=edges)[0] / len(spans(found)) for found in (ours, theirs)]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.04)


def fairseq_mask(random: np.random.Generator, size: int, span: int = 10, least: int = 2) -> np.ndarray:
    """One row of `compute_mask_indices`, written from its description."""
    count = max(least, int(0.65 * size / span + random.random()))
    shortest = size - count - 1 if size - span <= count else span
    starts = random.choice(size - shortest, count, replace=False)
    hidden = np.zeros(size, dtype=bool)
    hidden[np.unique([start + offset for start in starts for offset in range(span) if start + offset < size])] = True
    return hidden


def spans(hidden: np.ndarray) -> np.ndarray:
    """Lengths of the stretches that are hidden."""
    return np.array(
        [len(run) for row in hidden for run in "".join(".x"[cell] for cell in row.astype(int)).split(".") if run]
    )


def test_padding_and_batch_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same frames hidden and compared: an utterance has the same similarities alone and among others."""
    monkeypatch.setattr(wav2vec2_pretraining, "sample_negatives", all_others)
    monkeypatch.setattr(wav2vec2_pretraining, "span_where", every_third)
    model = a_model(feature_grad_mult=1.0)
    waveform, lengths = a_batch(9_000, 6_000, 7_000)
    for row, samples in enumerate(lengths.tolist()):
        waveform[row, samples:] = 7.0
    rows = [model(waveform[row : row + 1, :samples], lengths[row : row + 1]) for row, samples in enumerate(lengths)]
    monkeypatch.setattr(wav2vec2_pretraining, "sample_negatives", padded_others)
    together = model(waveform, lengths)
    assert together.where.sum(dim=1).tolist() == [len(row.similarities) for row in rows]
    start = 0
    for row in rows:
        mine = together.similarities[start : start + len(row.similarities), : row.similarities.size(1)]
        torch.testing.assert_close(mine, row.similarities, atol=1e-4, rtol=0)
        start += len(row.similarities)


def every_third(lengths: Tensor, size: int, probability: float, span: int, least: int = 0) -> Tensor:
    frames = torch.arange(size)
    return (frames % 3 == 1) & (frames < lengths[:, None])


def padded_others(frames: int, negatives: int, device: torch.device) -> Tensor:
    """As `all_others`, repeated to ten so that utterances can be put in one table."""
    return all_others(frames, negatives, device).repeat(1, 10)[:, :10]


def test_utterances_too_short_for_a_distractor_are_left_out() -> None:
    model = a_model()
    waveform, lengths = a_batch(9_000, 500, 100)
    output = model(waveform, lengths)
    assert output.frames.tolist() == [27, 1, 0] and not output.where[1:].any()
    assert output.similarities.shape == (int(output.where[0].sum()), 6)
    (model.contrastive_loss(output) + model.feature_penalty(output)).backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())


def test_the_gumbel_temperature_falls_to_its_end() -> None:
    """max(2 * 0.999995^step, 0.5): 1.21 after 100,000 steps, 0.5 after 277,000 (specs A.6)."""
    model = a_model()
    assert model.gumbel_temperature(0) == 2.0
    assert model.gumbel_temperature(1) == 2.0 * 0.999995
    assert model.gumbel_temperature(100_000) == pytest.approx(1.213, abs=1e-3)
    assert model.gumbel_temperature(277_000) > 0.5 == model.gumbel_temperature(278_000)
    quick = a_model(replace(SMALL, gumbel_start=3.0, gumbel_end=1.0, gumbel_decay=0.5))
    assert [quick.gumbel_temperature(step) for step in range(3)] == [3.0, 1.5, 1.0]


def test_the_step_reaches_the_quantizer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    plain = F.gumbel_softmax

    def watched(logits: Tensor, tau: float, hard: bool) -> Tensor:
        seen.append(tau)
        return plain(logits, tau=tau, hard=hard)

    monkeypatch.setattr(F, "gumbel_softmax", watched)
    model = a_model(replace(SMALL, gumbel_decay=0.5)).train()
    model(*a_batch(9_000), step=1)
    assert seen == [1.0]


def test_gradient_reaches_everything_and_the_convolutions_at_a_tenth() -> None:
    """From every term alone: all of it into the convolutions is scaled, the penalty's too (specs A.8)."""
    waveform, lengths = a_batch(9_000, 7_000)
    found: dict[float, list[Tensor]] = {}
    for factor in (1.0, 0.1):
        torch.manual_seed(1)
        model = a_model(feature_grad_mult=factor).train()
        found[factor] = []
        for term in (model.contrastive_loss, model.diversity_loss, model.feature_penalty):
            torch.manual_seed(2)
            model.zero_grad()
            term(model(waveform, lengths)).backward()
            found[factor].append(model.encoder.cnn.layers[0].convolution.weight.grad.clone())
    for full, tenth in zip(found[1.0], found[0.1], strict=True):
        assert full.abs().max() > 0
        torch.testing.assert_close(tenth, full * 0.1, atol=1e-9, rtol=1e-3)


@pytest.mark.parametrize(
    ("term", "silent"),
    [
        ("contrastive_loss", set()),
        ("diversity_loss", {"target_projection", "context_projection", "transformer", "mask_embedding", "position",
                            "context_norm", "projection", "entries"}),
        ("feature_penalty", {"target_projection", "context_projection", "transformer", "mask_embedding", "position",
                             "context_norm", "projection", "entries", "logits", "norm"}),
    ],
)  # fmt: skip
def test_each_term_reaches_what_it_must_and_nothing_else(term: str, silent: set[str]) -> None:
    model = a_model().train()
    getattr(model, term)(model(*a_batch(9_000, 7_000))).backward()
    for name, value in model.named_parameters():
        part = name.removeprefix("encoder.").removeprefix("quantizer.").split(".")[0]
        moved = value.grad is not None and bool(value.grad.abs().sum() > 0)
        assert moved == (part not in silent) or name.endswith("key.bias"), name


def test_base_has_the_parameters_of_the_paper() -> None:
    """95,044,608 with quantizer and heads (specs 0.3)."""
    with torch.device("meta"):
        model = Wav2Vec2Pretraining(Wav2Vec2PretrainingConfig(encoder=Wav2Vec2Config()))
    assert sum(value.numel() for value in model.parameters()) == 95_044_608


def test_training_lowers_the_loss_and_raises_the_accuracy() -> None:
    torch.manual_seed(4)
    model = a_model(feature_grad_mult=1.0, front_end=LogMelFrontEnd(bins=40, channels=32)).train()
    time = torch.arange(16_000) / 16_000
    pitches = torch.randint(2, 30, (8, 20)).repeat_interleave(800, dim=1) * 100.0
    waveform = torch.sin(2 * math.pi * pitches * time) * 0.3
    lengths = torch.full((8,), 16_000)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for step in range(40):
        output = model(waveform, lengths, step)
        loss = model.contrastive_loss(output) + 0.1 * model.diversity_loss(output)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


THEIRS: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
    "conv_dim": [32] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "num_codevector_groups": 2, "num_codevectors_per_group": 6, "codevector_dim": 12, "proj_codevector_dim": 10,
    "hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0,
    "feat_quantizer_dropout": 0.0, "layerdrop": 0.0, "diversity_loss_weight": 0.1,
}  # fmt: skip
HEADS = {
    "quantizer.weight_proj.weight": "quantizer.logits.weight",
    "quantizer.weight_proj.bias": "quantizer.logits.bias",
    "project_q.weight": "target_projection.weight",
    "project_q.bias": "target_projection.bias",
    "project_hid.weight": "context_projection.weight",
    "project_hid.bias": "context_projection.bias",
}


def test_losses_and_gradients_are_those_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same weights, masks and distractors, no dropout, and a Gumbel softmax without noise on both sides."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config(**THEIRS)).train()
    ours = a_model(feed_forward=96, feature_grad_mult=1.0).train()
    state = theirs.state_dict()
    huggingface.load(ours.encoder, state)
    entries = state["quantizer.codevectors"].view(2, 6, 6)
    ours.load_state_dict({**ours.state_dict(), "quantizer.entries": entries,
                          **{mine: state[name] for name, mine in HEADS.items()}})  # fmt: skip
    monkeypatch.setattr(F, "gumbel_softmax", straight_through)
    monkeypatch.setattr(wav2vec2_pretraining, "span_where", every_third)
    monkeypatch.setattr(wav2vec2_pretraining, "sample_negatives", all_others)
    waveform, lengths = torch.randn(2, 9_000), torch.tensor([9_000, 9_000])
    output = ours(waveform, lengths)
    counts = output.where.sum(dim=1).tolist()
    drawn = torch.zeros(2, 27, counts[0] - 1, dtype=torch.long)
    for row, hidden in enumerate(each.nonzero().flatten() for each in output.where):
        drawn[row, hidden] = hidden[all_others(len(hidden), 0, waveform.device)] + 27 * row
    expected = theirs(waveform, mask_time_indices=output.where, sampled_negative_indices=drawn)
    count = sum(counts)
    torch.testing.assert_close(ours.contrastive_loss(output) * count, expected.contrastive_loss, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(ours.diversity_loss(output) * count, expected.diversity_loss, atol=1e-3, rtol=1e-4)
    ((ours.contrastive_loss(output) + 0.1 * ours.diversity_loss(output)) * count).backward()
    expected.loss.backward()
    gradients = {name: value.grad for name, value in theirs.named_parameters()}
    mine = dict(ours.named_parameters())
    for name, own in HEADS.items():
        torch.testing.assert_close(mine[own].grad, gradients[name], atol=1e-3, rtol=1e-3)
    own_entries = mine["quantizer.entries"].grad
    assert own_entries is not None
    torch.testing.assert_close(own_entries.view(1, 12, 6), gradients["quantizer.codevectors"], atol=1e-3, rtol=1e-3)
    pairs = {
        "encoder.mask_embedding": "wav2vec2.masked_spec_embed",
        "encoder.cnn.layers.0.convolution.weight": "wav2vec2.feature_extractor.conv_layers.0.conv.weight",
        "encoder.transformer.layers.1.attention.query.weight": "wav2vec2.encoder.layers.1.attention.q_proj.weight",
    }
    for own, name in pairs.items():
        torch.testing.assert_close(mine[own].grad, gradients[name], atol=1e-3, rtol=1e-3)


def straight_through(logits: Tensor, tau: float = 1, hard: bool = False, dim: int = -1) -> Tensor:
    """The Gumbel softmax without its noise, exactly one-hot: theirs finds duplicates by value, not by name."""
    soft = (logits / tau).softmax(dim=dim)
    return F.one_hot(soft.argmax(dim=dim), soft.size(dim)) + (soft - soft.detach())
