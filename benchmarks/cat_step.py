"""The pre-training step of CAT at base size, beside a dense reference of the same maths: time and memory.

    python benchmarks/cat_step.py [--clips 1] [--rounds 2] [--threads 1] [--output results/speed/cat_step.json]

A step is the teacher's pass, the student's, all losses and the backward pass, float32, on clips of 1024 frames, with
the same weights, masks and noise on both sides; the run ends if losses or gradients differ. The dense reference does
what the paper's public code does: the student's stem runs once over the unmasked clip, and its result is thrown away;
then it runs over all patches of every view, masked patches multiplied by zero, as convolutions over channels-first
images; tokens of masked patches are dropped after it; attention is matrix product, softmax, matrix product. The
Transformer sees visible tokens alone on both sides.

Every round runs both sides, in turning order. A ratio is the dense median through ours: above 1 ours is faster.
`processor` is the time spent by all threads of the process, `wall` the clock on the wall. `kept` is what autograd
holds for the backward pass, each storage once, without parameters; `peak` is the most memory that a step, gradients
included, takes above what the weights do. `stem` is the student's stem alone, forward and backward.
"""

import argparse
import ctypes
import gc
import json
import math
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.layers.attention import MultiHeadAttention
from noisewise.models.cat import encoder as cat
from noisewise.models.cat.alignment import AlignmentConfig, External
from noisewise.models.cat.encoder import CAT
from noisewise.models.cat.masked_depthwise import MaskedDepthwiseBlock
from noisewise.models.cat.multi_resolution import MultiResolutionBlock
from noisewise.models.cat.objective import CATObjectiveConfig, CATPretraining
from noisewise.models.cat.patch import PatchConvolution
from noisewise.models.cat.positions_2d import sinusoids_2d
from noisewise.models.cat.views import Patches, Views

AIM = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--frames", type=int, default=1024)
    parser.add_argument("--size", default="base", choices=("tiny", "small", "base"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--autocast", action="store_true", help="bfloat16; then the two sides are not compared")
    parser.add_argument("--output", type=Path, default=Path("results/speed/cat_step.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result = measure(options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both sides in turn; the first round of each also compares them and counts what autograd keeps."""
    torch.manual_seed(0)
    config = CATObjectiveConfig(alignments=(AlignmentConfig(encoder="clap"),))
    objective = CATPretraining(getattr(cat, options.size)(), config).to(options.device).train()
    features = torch.randn(options.clips, options.frames, 128, device=options.device)
    patches = objective.student.patches(features, torch.full((options.clips,), options.frames, device=options.device))
    external = {"clap": External(torch.randn(options.clips, 512, device=options.device))}
    where = objective.visible(patches)

    def ours() -> Tensor:
        return step(objective, patches, where, external, options)

    def dense() -> Tensor:
        with mock.patch.object(CAT, "embed", dense_embed), mock.patch.object(MultiHeadAttention, "forward", attend):
            return step(objective, patches, where, external, options)

    sides = {"ours": ours, "dense": dense}
    found, kept, peaks = {}, {}, {}
    for name, side in sides.items():
        found[name], kept[name], peaks[name] = inspected(objective, side, options.device)
        print(f"{name}: loss {found[name][0]:.6f}, kept {kept[name] / 1e9:.2f} GB", file=sys.stderr)
    differences = None if options.autocast else compared(found["ours"], found["dense"])
    times = timed(sides, options.rounds, options.device)
    stem = timed(stems(objective.student, patches, where, options), options.rounds, options.device)
    ratios, stem_ratios = (
        {clock: round(spent["dense"] / spent["ours"], 2) for clock, spent in each.items()} for each in (times, stem)
    )
    return {
        "command": "python " + " ".join(["benchmarks/cat_step.py", *sys.argv[1:]]),
        "what": "pre-training step of CAT, dense reference of the same maths through ours",
        "size": options.size,
        "clips": options.clips,
        "views": config.views,
        "frames": options.frames,
        "threads": options.threads,
        "rounds": options.rounds,
        "aim": AIM,
        "reached": ratios["processor" if options.device == "cpu" else "wall"] >= AIM,
        "ratio": ratios,
        "median_seconds": {c: {s: round(t, 3) for s, t in spent.items()} for c, spent in times.items()},
        "stem_ratio": stem_ratios,
        "stem_median_seconds": {c: {s: round(t, 3) for s, t in spent.items()} for c, spent in stem.items()},
        "kept_gb": {side: round(size / 1e9, 3) for side, size in kept.items()},
        "kept_ratio": round(kept["dense"] / kept["ours"], 2),
        "peak_gb": {side: round(size / 1e9, 3) for side, size in peaks.items()},
        "peak_ratio": round(peaks["dense"] / peaks["ours"], 2),
        "differences": differences,
        "versions": {name: version(name) for name in ("noisewise", "torch")},
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if options.device == "cuda" else None,
        "precision": "bfloat16 autocast" if options.autocast else "float32",
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores",
    }


def step(
    objective: CATPretraining,
    patches: Patches,
    where: Tensor,
    external: dict[str, External],
    options: argparse.Namespace,
) -> Tensor:
    """Losses and gradients; the noise of the decoder is the same each time."""
    torch.manual_seed(1)
    objective.zero_grad(set_to_none=True)
    with torch.autocast(options.device, torch.bfloat16, enabled=options.autocast):
        total = objective.losses(patches, where, external).total.mean()
    total.backward()
    return total.detach()


def inspected(
    objective: CATPretraining, side: Callable[[], Tensor], device: str
) -> tuple[tuple[float, dict[str, Tensor]], int, int]:
    """Loss and gradients of one step, the bytes that autograd keeps for it, the peak of memory."""
    parameters = {value.untyped_storage().data_ptr() for value in objective.parameters()}
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is used twice

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in parameters:
            storages[storage.data_ptr()] = storage
        return value

    objective.zero_grad(set_to_none=True)
    before = held(device)
    side()
    peak = most(device) - before
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        loss = float(side())
    gradients = {name: value.grad.clone() for name, value in objective.named_parameters() if value.grad is not None}
    bytes_kept = sum(storage.nbytes() for storage in storages.values())
    return (loss, gradients), bytes_kept, peak


def stems(student: CAT, patches: Patches, where: Tensor, options: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """The student's stem alone, forward and backward, on both sides."""

    def run(embed: Callable[[CAT, Patches, Views], tuple[Tensor, Tensor | None]]) -> None:
        student.zero_grad(set_to_none=True)
        with torch.autocast(options.device, torch.bfloat16, enabled=options.autocast):
            tokens, _ = embed(student, patches, Views.of(patches, where))
        tokens.float().square().sum().backward()

    return {"ours": lambda: run(CAT.embed), "dense": lambda: run(dense_embed)}


def held(device: str) -> int:
    """Bytes held now; from here on `most` counts anew."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what earlier steps left behind; Linux, as the next line
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return resident("VmRSS")


def most(device: str) -> int:
    """The most bytes held since `held`."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else resident("VmHWM")


def resident(name: str) -> int:
    """A line of this process's status, in bytes."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return 1024 * int(found.group(1)) if found else 0


def compared(ours: tuple[float, dict[str, Tensor]], dense: tuple[float, dict[str, Tensor]]) -> dict[str, float]:
    """Relative differences; raises where they are more than rounding."""
    loss = abs(ours[0] - dense[0]) / abs(dense[0])
    largest = max(float(gradient.norm()) for gradient in dense[1].values())
    worst = max(  # gradients of the biases of keys are nothing but rounding: a softmax does not see them
        float((ours[1][name] - gradient).norm() / gradient.norm())
        for name, gradient in dense[1].items()
        if float(gradient.norm()) > 1e-5 * largest
    )
    if loss > 1e-4 or worst > 1e-2:
        raise SystemExit(f"the sides must agree, but the loss differs by {loss:g} and a gradient by {worst:g}")
    return {"loss": loss, "largest_gradient": worst}


def timed(sides: dict[str, Callable[[], Any]], rounds: int, device: str) -> dict[str, dict[str, float]]:
    """Median seconds of each side by each clock."""
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    spent: dict[str, dict[str, list[float]]] = {clock: {side: [] for side in sides} for clock in clocks}
    names = list(sides)
    for turn in range(rounds):
        for side in names[turn % 2 :] + names[: turn % 2]:
            if device == "cuda":
                torch.cuda.synchronize()
            starts = {clock: now() for clock, now in clocks.items()}
            sides[side]()
            if device == "cuda":
                torch.cuda.synchronize()
            for clock, now in clocks.items():
                spent[clock][side].append(now() - starts[clock])
    return {clock: {side: statistics.median(times) for side, times in found.items()} for clock, found in spent.items()}


def dense_embed(model: CAT, patches: Patches, visible_patches: Views) -> tuple[Tensor, None]:
    """What `CAT.embed` gives for clips of one length, with every patch of every view computed."""
    where = visible_patches.where
    clips, views, size = len(patches.values), len(where), model.size
    times = where.size(1) // patches.bands
    image = patches.values.view(clips, times, patches.bands, size, size).transpose(2, 3)
    image = image.reshape(clips, 1, times * size, patches.bands * size)
    stem: MultiResolutionBlock = model.stem  # type: ignore[assignment]
    where = where.to(image.device)
    whole = bool(where.all())
    if not whole:
        dense_stem(stem, image, None)  # the unmasked pass, which nothing uses
    visible = None if whole else where.view(views, 1, times, patches.bands).float()
    tokens = dense_stem(stem, image.repeat_interleave(views // clips, dim=0), visible)  # (W, D, T, M)
    positions = sinusoids_2d(times, patches.bands, model.dim).flatten(0, 1).to(tokens)
    tokens = tokens.flatten(2).transpose(1, 2) + positions
    return tokens[where].view(views, -1, model.dim), None


def dense_stem(stem: MultiResolutionBlock, image: Tensor, visible: Tensor | None) -> Tensor:
    """The Multi-resolution Block as convolutions over images, from the same weights.

    Args:
        stem: whose weights are used.
        image: (W, 1, F, bins).
        visible: 1 at visible patches, None when all are. (W, 1, T, M)

    Returns:
        (W, D, T, M).
    """
    tokens: list[Tensor] = []
    for stage, (entrance, norm) in enumerate(zip(stem.entrances, stem.norms, strict=True)):
        image = channel_norm(norm, strided(entrance, image))  # type: ignore[arg-type]
        if stage < len(stem.skips):
            for block in cast("Iterable[Any]", stem.blocks[stage]):
                image = dense_block(block, image, visible)
            tokens.append(strided(stem.skips[stage], image))  # type: ignore[arg-type]
    last = F.conv2d(image, stem.projection.weight[:, :, None, None], stem.projection.bias)
    return sum(tokens, start=last)


def dense_block(block: MaskedDepthwiseBlock, image: Tensor, visible: Tensor | None) -> Tensor:
    """(W, C, height, width) -> (W, C, height, width)"""
    mixed = pointwise(block.entrance, channel_norm(block.mixing_norm, image))
    if visible is not None:
        mixed = mixed * F.interpolate(visible, size=mixed.shape[2:], mode="nearest")
    image = image + pointwise(block.exit, block.depthwise(mixed))
    inner = F.gelu(pointwise(block.feed_forward.inner, channel_norm(block.feed_forward_norm, image)))
    return image + pointwise(block.feed_forward.outer, inner)


def strided(convolution: PatchConvolution, image: Tensor) -> Tensor:
    """A convolution whose stride is its kernel."""
    factor = convolution.factor
    weight = convolution.weight.view(convolution.out_features, factor, factor, -1).permute(0, 3, 1, 2)
    return F.conv2d(image, weight, convolution.bias, stride=factor)


def pointwise(linear: nn.Linear, image: Tensor) -> Tensor:
    """A linear map of the channels of each place."""
    return F.conv2d(image, linear.weight[:, :, None, None], linear.bias)


def channel_norm(norm: nn.Module, image: Tensor) -> Tensor:
    """LayerNorm over the channels of each place."""
    return norm(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def attend(module: MultiHeadAttention, features: Tensor, valid: Tensor | None = None) -> Tensor:
    """Attention step by step, with its softmax in float32."""
    batch, frames, dim = features.shape
    query, key, value = (
        project(features).view(batch, frames, module.heads, -1).transpose(1, 2)
        for project in (module.query, module.key, module.value)
    )
    weights = (query @ key.transpose(2, 3) / math.sqrt(dim // module.heads)).float().softmax(dim=-1).to(value.dtype)
    return module.output((weights @ value).transpose(1, 2).reshape(batch, frames, dim))


if __name__ == "__main__":
    main()
