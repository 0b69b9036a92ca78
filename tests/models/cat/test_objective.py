"""The objective: targets, each loss by hand, weights that no batch size changes, the teacher."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noisewise.models.cat.alignment import AlignmentConfig, External
from noisewise.models.cat.encoder import CATConfig
from noisewise.models.cat.objective import CATObjectiveConfig, CATPretraining, code_weight, instance_normalised
from noisewise.models.cat.views import Patches

MODEL = CATConfig(
    strides=(4, 8, 16),
    channels=(8, 12, 32),
    blocks=1,
    bins=32,
    dim=32,
    layers=3,
    heads=2,
    feed_forward=48,
    decoder_layers=2,
    decoder_groups=4,
)
CLAP = AlignmentConfig(encoder="clap", dim=6, weight=2.0)


def objective(**changes: Any) -> CATPretraining:
    torch.manual_seed(0)
    config = CATObjectiveConfig(**{"noise": 0.0, "mask_block": 2, "mask_probability": 0.6, "views": 3, **changes})
    made = CATPretraining(MODEL, config)
    for parameter in made.teacher.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))  # a teacher that is not the student
    return made


def drawn(*frames: int) -> Patches:
    torch.manual_seed(1)
    lengths = torch.tensor(frames)
    features = torch.randn(len(frames), -(-max(frames) // 16) * 16, 32)
    features *= (torch.arange(features.size(1)) < lengths[:, None])[:, :, None]
    return objective().student.patches(features, lengths)


def given(clips: int) -> dict[str, External]:
    torch.manual_seed(2)
    return {"clap": External(torch.randn(clips, 6))}


def part(patches: Patches, rows: slice) -> Patches:
    times = patches.times[rows]
    return Patches(patches.values[rows, : int(times.max()) * patches.bands], times, patches.bands)


def test_views_have_exact_counts_and_masks_of_their_own() -> None:
    made = CATPretraining(MODEL, CATObjectiveConfig(views=4))
    patches = Patches(torch.zeros(3, 128, 16, 16), torch.tensor([64, 64, 20]), 2)
    where = made.visible(patches)
    assert where.shape == (12, 128)
    assert where.sum(dim=1).tolist() == [25] * 8 + [8] * 4
    assert len({tuple(row.tolist()) for row in where}) == 12
    assert not where[8:, 40:].any()


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_targets_are_averaged_instance_normalised_feed_forwards(layers: int) -> None:
    made, patches = objective(target_layers=layers), drawn(96)
    target, mean = made.targets(patches)
    fed = made.teacher.encode(patches, patches.every(), range(1, 4)).feed_forwards
    kept = [fed[number][:, 1:] for number in ([1, 2, 3] if layers == 0 else [1, 2, 3][-layers:])]
    normal = [F.instance_norm(each.transpose(1, 2)).transpose(1, 2) for each in kept]  # PyTorch's own
    expected = F.layer_norm(torch.stack(normal).mean(dim=0), (32,))
    torch.testing.assert_close(target, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mean, expected.mean(dim=1), atol=1e-5, rtol=1e-4)
    assert not target.requires_grad


def test_instance_norm_leaves_padding_out() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 7, 4)
    valid = torch.arange(7) < torch.tensor([[7], [4]])
    found = instance_normalised(features, valid)
    torch.testing.assert_close(found[1, :4], instance_normalised(features[1:, :4], None)[0])
    assert not found[1, 4:].any()
    torch.testing.assert_close(found[0].std(dim=0, correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_frame_loss_is_the_mean_over_masked_tokens() -> None:
    made, patches = objective(), drawn(96, 96)
    where = made.visible(patches)
    output = made.student.encode(patches, where)
    target, _ = made.targets(patches)
    grid = torch.zeros(6, 12, 32)
    grid[where] = output.tokens.flatten(0, 1)
    predicted = made.decoder(grid.view(6, 6, 2, 32), torch.arange(72)).view(6, 12, 32)
    for clip in range(2):
        errors = [
            ((predicted[view, place] - target[clip, place]).square().sum() / math.sqrt(32)).item()
            for view in range(3 * clip, 3 * clip + 3)
            for place in range(12)
            if not where[view, place]
        ]
        found = made.frame_loss(patches, output, target)[clip]
        assert found.item() == pytest.approx(sum(errors) / len(errors), rel=1e-4)


def test_utterance_and_regularisation_are_means_over_views() -> None:
    made, patches, external = objective(alignments=(CLAP,)), drawn(96, 96), given(2)
    where = made.visible(patches)
    output = made.student.encode(patches, where)
    _, mean = made.targets(patches)
    losses = made.losses(patches, where, external)
    heads = made.alignments[0].head(output.clip)
    for clip in range(2):
        views = range(3 * clip, 3 * clip + 3)
        utterance = sum(float((output.clip[view] - mean[clip]).square().sum()) for view in views) / 3 / math.sqrt(32)
        clap = sum(float((heads[view] - external["clap"].features[clip]).square().sum()) for view in views)
        assert float(losses.utterance[clip]) == pytest.approx(utterance, rel=1e-4)
        assert float(losses.alignments["clap"][clip]) == pytest.approx(clap / 3 / math.sqrt(6), rel=1e-4)
    total = losses.frame + 384 * losses.utterance + 2 * losses.alignments["clap"]
    torch.testing.assert_close(losses.total, total)


def gradients(made: CATPretraining, total: Tensor) -> dict[str, Tensor]:
    made.zero_grad()
    total.backward()
    return {name: value.grad.clone() for name, value in made.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("level", ["clip", "frames"])
@pytest.mark.parametrize("form", ["mse", "cosine"])
def test_weights_do_not_change_with_batch_accumulation_or_processes(level: str, form: str) -> None:
    """The mean over all clips, however cut into parts, with clips of different lengths, padding and all."""
    alignment = AlignmentConfig(encoder="e", dim=6, weight=3.0, level=level, form=form)  # type: ignore[arg-type]
    made, patches = objective(alignments=(alignment,)), drawn(96, 40, 64, 40)
    where = made.visible(patches)
    torch.manual_seed(2)
    frames, lengths = torch.randn(4, 20, 6), torch.tensor([20, 9, 14, 9])
    whole = made.losses(patches, where, {"e": External(frames, lengths)})
    expected = gradients(made, whole.total.sum() / 4)
    for cuts in ([0, 1, 2, 3, 4], [0, 1, 4], [0, 2, 4]):
        parts = []
        for first, last in itertools.pairwise(cuts):
            some, rows = part(patches, slice(first, last)), slice(first, last)
            seen = where[3 * first : 3 * last, : some.values.size(1)]
            parts.append(made.losses(some, seen, {"e": External(frames[rows], lengths[rows])}).total)
        torch.testing.assert_close(torch.cat(parts), whole.total, atol=1e-3, rtol=1e-4)
        found = gradients(made, torch.cat(parts).sum() / 4)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, atol=2e-3, rtol=1e-3, msg=name)


def test_conversion_from_the_convention_of_the_paper_code() -> None:
    """Its sum over elements, divided by masked tokens, has the gradient of our mean losses at weight clips * views."""
    clips, views = 2, 3
    made = objective(
        utterance_weight=code_weight(1.0, clips, views),
        alignments=(AlignmentConfig(encoder="clap", dim=6, weight=code_weight(0.5, clips, views)),),
    )
    patches, external = drawn(96, 96), given(clips)
    where = made.visible(patches)
    ours = gradients(made, made.losses(patches, where, external).total.mean())
    output = made.student.encode(patches, where)
    target, mean = made.targets(patches)
    hidden = ~where
    masked = int(hidden.sum())  # the code's sample_size
    predicted = made.decoder(made.fill(output), hidden.flatten().nonzero().squeeze(1))
    frame = (predicted - target.repeat_interleave(views, 0)[hidden]).square().sum() / math.sqrt(32)
    utterance = (output.clip - mean.repeat_interleave(views, 0)).square().sum() / math.sqrt(32) * masked
    vectors = external["clap"].features.repeat_interleave(views, 0)
    clap = (made.alignments[0].head(output.clip) - vectors).square().sum() / math.sqrt(6) * masked
    theirs = gradients(made, (frame + 1.0 * utterance + 0.5 * clap) / masked)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-4, rtol=1e-4, msg=name)
    assert code_weight(1.0, 96, 4) == 384


def test_several_encoders_levels_and_layers() -> None:
    alignments = (
        CLAP,
        AlignmentConfig(encoder="ast", dim=5, form="contrastive", layer=2),
        AlignmentConfig(encoder="ast", dim=5, form="contrastive", level="frames"),
        AlignmentConfig(encoder="ast", dim=5, form="cosine", level="frames", layer=1, weight=0.0),
    )
    with pytest.raises(ValueError, match="must differ"):
        objective(alignments=alignments)
    made, patches = objective(alignments=alignments[:3]), drawn(96, 40)
    external = {**given(2), "ast": External(torch.randn(2, 9, 5), torch.tensor([9, 4]))}
    losses = made.losses(patches, made.visible(patches), external)
    assert list(losses.alignments) == ["clap", "ast", "ast_frames"]
    assert all(each.shape == (2,) and bool((each > 0).all()) for each in losses.alignments.values())
    losses.total.sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in made.alignments.parameters())


def test_frames_are_aligned_with_the_features_of_their_time() -> None:
    """A head that reads nothing but its bias has no error only where features are the bias at visible times."""
    made = objective(alignments=(AlignmentConfig(encoder="e", dim=2, level="frames", weight=1.0),))
    patches = drawn(96, 64)
    where = torch.zeros(6, 12, dtype=torch.bool)
    where[:3, 4] = where[3:, 3] = True  # times 2 and 1
    head: Any = made.alignments[0].head
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.ones_(head.bias)
    features = torch.randn(2, 6, 2)
    features[0, 2], features[1, 1] = 1.0, 1.0
    external = {"e": External(features, torch.tensor([6, 4]))}
    losses = made.losses(patches, where, external).alignments["e_frames"]
    torch.testing.assert_close(losses, torch.zeros(2), atol=1e-6, rtol=0)


def test_a_clip_beside_others_has_the_loss_it_has_alone() -> None:
    made, patches, external = objective(alignments=(CLAP,)), drawn(96, 40), given(2)
    where = made.visible(patches)
    together = made.losses(patches, where, external)
    alone = made.losses(part(patches, slice(1, 2)), where[3:, :6], {"clap": External(external["clap"].features[1:])})
    for name in ("frame", "utterance", "total"):
        torch.testing.assert_close(getattr(together, name)[1:], getattr(alone, name), atol=1e-4, rtol=1e-4)


def test_the_teacher_follows_as_its_schedule_says() -> None:
    made = objective(decay_start=0.9, decay_end=0.99, decay_updates=10)
    assert [round(made.decay(update), 4) for update in (0, 5, 10, 50)] == [0.9, 0.945, 0.99, 0.99]
    before = [value.clone() for value in made.teacher.parameters()]
    made.update_teacher(5)
    for old, slow, fast in zip(before, made.teacher.parameters(), made.student.parameters(), strict=True):
        torch.testing.assert_close(slow, 0.945 * old + 0.055 * fast)
    default = CATPretraining(MODEL, CATObjectiveConfig())
    assert default.decay(0) == 0.9998 and default.decay(50_000) == pytest.approx(0.999895)
    assert default.decay(100_000) == 0.99999


def test_the_teacher_learns_nothing_by_itself_and_stays_in_evaluation() -> None:
    made, patches = objective(alignments=(CLAP,)), drawn(96)
    made.train()
    assert made.student.training and not made.teacher.training
    made.losses(patches, made.visible(patches), given(1)).total.sum().backward()
    assert all(value.grad is None for value in made.teacher.parameters())
    assert all(value.grad is not None for value in made.student.parameters())
    assert all(value.grad is not None for value in made.decoder.parameters())


def test_a_step_is_one_draw_of_the_default_generator() -> None:
    made = objective(noise=0.01, alignments=(CLAP,))
    waveform, lengths = torch.randn(2, 16_000) * 0.05, torch.tensor([16_000, 9_000])
    external = given(2)
    torch.manual_seed(5)
    first = made(waveform, lengths, external).total
    second = made(waveform, lengths, external).total
    torch.manual_seed(5)
    assert torch.equal(first, made(waveform, lengths, external).total)
    assert not torch.equal(first, second)


def test_the_smallest_clip_gives_finite_losses() -> None:
    made = objective(alignments=(CLAP,))
    losses = made(torch.randn(2, 9_000) * 0.05, torch.tensor([9_000, 100]), given(2))
    assert losses.total.isfinite().all()
    losses.total.sum().backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in made.parameters())


def test_half_precision_is_near_and_its_losses_are_not_half() -> None:
    alignments = (CLAP, AlignmentConfig(encoder="clap", dim=6, level="frames", weight=1.0))
    made, patches = objective(alignments=alignments), drawn(96, 40)
    external = {"clap": External(torch.randn(2, 10, 6))}
    where = made.visible(patches)
    with torch.autocast("cpu", torch.bfloat16):
        low = made.losses(patches, where, external)
    low.total.sum().backward()
    full = made.losses(patches, where, external)
    assert low.total.dtype == torch.float32
    for name in ("frame", "utterance", "total"):
        torch.testing.assert_close(getattr(low, name), getattr(full, name), rtol=0.05, atol=0.05)


def test_masked_patches_are_noise_to_the_decoder() -> None:
    made, patches = objective(noise=0.5), drawn(96 * 4)
    where = made.visible(patches)
    output = made.student.encode(patches, where)
    grid = made.fill(output)
    assert grid.shape == (3, 24, 2, 32)
    flat = grid.flatten(1, 2)
    torch.testing.assert_close(flat[where], output.tokens.flatten(0, 1))
    assert 0.45 < flat[~where].std().item() < 0.55


def test_the_step_never_runs_the_student_over_masked_patches() -> None:
    made, patches = objective(), drawn(96, 96)
    seen: list[int] = []
    made.student.stem.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    where = made.visible(patches)
    made.losses(patches, where, {})
    assert seen == [int(where.sum())]


def test_what_does_not_fit_is_said() -> None:
    made, patches = objective(alignments=(CLAP,)), drawn(96)
    with pytest.raises(ValueError, match="must hold features of `clap`"):
        made.losses(patches, made.visible(patches), {})
    with pytest.raises(ValueError, match="between 0 and 3"):
        objective(target_layers=4)


def test_frames_are_not_aligned_with_clips_that_are_cut_or_padded() -> None:
    config = CATObjectiveConfig(alignments=(AlignmentConfig(encoder="clap", dim=6, level="frames"),))
    with pytest.raises(ValueError, match="`frames` must be 0 for alignments of level frames, but is 64"):
        CATPretraining(replace(MODEL, frames=64), config)
