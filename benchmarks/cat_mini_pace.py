"""What the mini plan of CAT costs: processor time a clip of each of its trainings, and an estimate of the whole plan.

    python benchmarks/cat_mini_pace.py [--clips 16] [--rounds 3] [--output results/cat_mini_pace.json]

Models are those of recipes/mini/cat, on noise of 5 s, one thread, float32. A step is the loss and its backward pass;
`hear` is one pass in evaluation. Reading is the decoding of a clip of ESC-50 ($NOISEWISE_DATA/esc50), left out where it
is not there. The estimate adds steps times clips of every run, for one seed, over two cores of two seeds; validation,
tests and the start of programs are not in it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from noisewise import models
from noisewise.config import load
from noisewise.data.cuts import ManifestError, load_audio
from noisewise.data.manifest import read
from noisewise.recipe import Recipe
from noisewise.reproduce import plan as plans

FOLDER = Path("recipes/mini/cat")
PATCH = ["model.encoder.stem=patch", "model.encoder.layers=5"]
TRAININGS: dict[str, tuple[str, list[str]]] = {
    "pre-training, block": ("cat.yaml", []),
    "pre-training, patch": ("cat.yaml", PATCH),
    "labels, block": ("tagging.yaml", []),
    "labels, patch": ("tagging.yaml", PATCH),
    "probe, block": ("probe.yaml", []),
    "probe, patch": ("probe.yaml", PATCH),
    "external": ("external.yaml", []),
}
CLIPS_A_STEP = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("results/cat_mini_pace.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {name: measured(*what, options.clips, options.rounds) for name, what in TRAININGS.items()}
    reading = read_ms()
    result = {
        "command": f"python benchmarks/cat_mini_pace.py --clips {options.clips} --rounds {options.rounds}",
        "versions": {name: version(name) for name in ("noisewise", "torch")},
        "processor_ms_a_clip": found,
        "reading_ms_a_clip": reading,
        "hours_of_the_plan": hours(found, reading or 0.0),
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def measured(recipe: str, overrides: list[str], clips: int, rounds: int) -> dict[str, float]:
    """Milliseconds of one training, and the parameters of its encoder."""
    torch.manual_seed(0)
    config = load(Recipe, FOLDER / recipe, overrides)
    model: Any = models.build(config.model).train()
    waveform, lengths = torch.randn(clips, 80_000) * 0.05, torch.full((clips,), 80_000)
    labels = torch.eye(50)[torch.arange(clips) % 50]
    tagger = recipe != "cat.yaml"

    def step() -> None:
        model.zero_grad()
        loss = model.loss(waveform, lengths, labels) if tagger else model(waveform, lengths).total
        loss.mean().backward()

    def hear() -> None:
        with torch.inference_mode():
            model.encoder(waveform, lengths)

    parameters = sum(each.numel() for each in model.encoder.parameters())
    return {"step": timed(step, rounds) / clips, "hear": timed(hear, rounds) / clips, "parameters": parameters}


def timed(call: Callable[[], None], rounds: int) -> float:
    """Median milliseconds of processor time, after one call that is not counted."""
    call()
    found = []
    for _ in range(rounds):
        started = time.process_time()
        call()
        found.append(1000 * (time.process_time() - started))
    return statistics.median(found)


def read_ms() -> float | None:
    """Milliseconds to decode a clip."""
    try:
        cuts = list(read("$NOISEWISE_DATA/esc50#split=fold1"))[:40]
    except ManifestError:
        return None
    started = time.process_time()
    for cut in cuts:
        load_audio(cut)
    return 1000 * (time.process_time() - started) / len(cuts)


def hours(found: dict[str, dict[str, float]], reading: float) -> float:
    """Of two cores, both seeds."""
    plan = plans.read(FOLDER / "plan.yaml")
    seconds = 0.0
    for run in plan.runs.values():
        recipe = load(Recipe, FOLDER / run.recipe, [text for text in run.set if "{runs}" not in text])
        patch = any("stem=patch" in text for text in run.set)
        kind = {"cat.yaml": "pre-training, ", "tagging.yaml": "labels, ", "probe.yaml": "probe, "}.get(run.recipe)
        name = "external" if kind is None else kind + ("patch" if patch else "block")
        seconds += recipe.run.steps * CLIPS_A_STEP * (found[name]["step"] + reading) / 1000
    return seconds * len(plan.seeds) / 2 / 3600


if __name__ == "__main__":
    main()
