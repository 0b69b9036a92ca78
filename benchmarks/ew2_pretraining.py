"""EW2 pre-training beside transformers' `Wav2Vec2ForPreTraining`: base size, the same pairs, one process.

    python benchmarks/ew2_pretraining.py [--precision bf16] [--rounds 3] [--output results/speed/ew2_pretraining.json]

One step of each side is what pre-training on pairs of noisy and clean speech needs: forward, backward, AdamW.
Ours is EW2: both through the feature encoder, the noisy one through the Transformer. transformers has no EW2; what
its users do is to call the model twice, on the noisy and on the clean speech, which is `twice`. `shared` is the
least that can be built from its parts: the model on the noisy speech, feature encoder and quantizer on the clean.
Negatives and masks are drawn outside the timing for transformers and inside it for ours. Ratios above 1 mean that
ours is faster; the aim is 1.5 against `twice`. Every round runs each side once, in turning order.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noisewise.batch import Batch
from noisewise.models.wav2vec2.ew2 import EW2, EW2Config
from noisewise.tasks.contrastive import ContrastiveTask, ContrastiveTaskConfig

AIM = 1.5
Step = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--output", type=Path, default=Path("results/speed/ew2_pretraining.json"))
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    noisy, clean = torch.randn(2, options.pairs, round(options.seconds * 16_000), device=options.device) * 0.1
    cast = autocast(options.device, options.precision)
    sides = {"ours": ours(noisy, clean, cast), **theirs(noisy, clean, cast)}
    times = measured(sides, options.rounds, options.device)
    audio = options.pairs * options.seconds
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = {name: round(medians[name] / medians["ours"], 3) for name in medians if name != "ours"}
    result = {
        "command": "python benchmarks/ew2_pretraining.py " + " ".join(sys.argv[1:]),
        "what": "time of a training step on pairs of noisy and clean speech, base size",
        "aim": AIM,
        "reached": ratios["twice"] >= AIM,
        "ratios": ratios,
        "audio_seconds_per_second": {name: round(audio / value, 2) for name, value in medians.items()},
        "rounds": options.rounds,
        "pairs": f"{options.pairs} of {options.seconds} s",
        "precision": options.precision,
        "device": device_name(options.device),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "versions": {name: version(name) for name in ("noisewise", "torch", "transformers")},
        "python": platform.python_version(),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def autocast(device: str, precision: str) -> Callable[[], Any]:
    """The precision of the forward passes."""
    if precision == "fp32":
        return contextlib.nullcontext
    return lambda: torch.autocast(device, dtype=torch.bfloat16)


def ours(noisy: Tensor, clean: Tensor, cast: Callable[[], Any]) -> Step:
    """One step of EW2."""
    task = ContrastiveTask(ContrastiveTaskConfig(), EW2(EW2Config())).to(noisy.device).train()
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-5, fused=True)
    lengths = torch.full((len(noisy),), noisy.size(1), device=noisy.device)
    batch = Batch(waveform=noisy, clean=clean, lengths=lengths, ids=[""] * len(noisy))

    def step() -> None:
        with cast():
            loss = task(batch)
        update(optimizer, loss.total / loss.weight)

    return step


def theirs(noisy: Tensor, clean: Tensor, cast: Callable[[], Any]) -> dict[str, Step]:
    """One step of transformers' model, in two ways."""
    import transformers
    from transformers.models.wav2vec2 import modeling_wav2vec2 as parts

    settings = transformers.Wav2Vec2Config(
        num_negatives=100, codevector_dim=256, proj_codevector_dim=256, contrastive_logits_temperature=0.1,
        mask_time_prob=0.65, layerdrop=0.05, activation_dropout=0.0, feat_quantizer_dropout=0.1,
    )  # fmt: skip
    model: Any = transformers.Wav2Vec2ForPreTraining(settings).to(noisy.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    shape = (len(noisy), int(model._get_feat_extract_output_lengths(noisy.size(1))))
    mask = parts._compute_mask_indices(shape, 0.65, 10, min_masks=2)
    negatives = parts._sample_negative_indices(shape, 100, mask_time_indices=mask)
    where = torch.from_numpy(mask).to(noisy.device)
    drawn = torch.from_numpy(negatives).to(noisy.device)

    def forward(waveform: Tensor) -> Any:
        return model(waveform, mask_time_indices=where, sampled_negative_indices=drawn)

    def twice() -> None:
        with cast():
            loss = forward(noisy).loss + forward(clean).loss
        update(optimizer, loss / where.sum())

    def shared() -> None:
        with cast():
            loss = forward(noisy).loss
            latents = model.wav2vec2.feature_projection(model.wav2vec2.feature_extractor(clean).transpose(1, 2))[1]
            targets = model.project_q(model.quantizer(model.dropout_features(latents), mask_time_indices=where)[0])
        update(optimizer, loss / where.sum() + 0.0 * targets.float().mean())

    return {"twice": twice, "shared": shared}


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Backward and one step."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 5.0)
    optimizer.step()


def measured(sides: dict[str, Step], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of each step, after one that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = time.perf_counter()
            sides[name]()
            if device != "cpu":
                torch.cuda.synchronize()
            if turn:
                times[name].append(time.perf_counter() - started)
    return times


def device_name(device: str) -> str:
    """What it ran on."""
    if device != "cpu":
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
