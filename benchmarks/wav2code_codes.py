"""What the codes of clean speech say about letters, and what stage 3 gains from knowing them, on a validation set.

    python benchmarks/wav2code_codes.py --aligner runs/EW2_FINE_TUNED --encoders runs/EW2 runs/EW2_FINE_TUNED \\
        --fused runs/WAV2CODE [--output results/wav2code/codes.json]

Purity is the share of frames of clean speech whose letter is the most frequent one of their code; letters come from the
alignment by a recogniser, codes from k-means on what each layer of an encoder makes of the same speech, and for
comparison of an encoder of the same shape with random weights. Exchanged are the restored representations of a run of
stage 3, before the fusion: predicted, those of the true clean codes, the clean representations, the noisy ones.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from noisewise import config, models, tasks
from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.data.loading.recordings import RecordingSource
from noisewise.decoding.alignment.viterbi import viterbi
from noisewise.layers.codebook import kmeans, nearest_entry
from noisewise.layers.masking import zero_padding
from noisewise.models import Model
from noisewise.models.wav2code.wav2code import Restoration, Wav2Code
from noisewise.recipe import Recipe
from noisewise.run import data_sets
from noisewise.tasks.wav2code import Wav2CodeTask

CODES = 256


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aligner", required=True, help="a run of CTC; its recipe names the validation set")
    parser.add_argument("--encoders", nargs="+", default=[], help="runs")
    parser.add_argument("--fused", help="a run of stage 3")
    parser.add_argument("--output", type=Path, default=Path("results/wav2code/codes.json"))
    given = parser.parse_args()
    result = {"command": " ".join(["python", *sys.argv]), **purities(given.aligner, given.encoders)}
    if given.fused:
        result["exchanged"] = exchanged(given.fused)
    given.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


@torch.inference_mode()
def purities(aligner: str, encoders: list[str]) -> dict[str, object]:
    """Purity by encoder and layer, and the share of the most frequent letter, which one code would have."""
    loaded = model_folder.load(f"{aligner}/best")
    recipe = config.load(Recipe, Path(aligner) / "recipe.yaml", ["validation.noise=null"])
    batches = [
        one
        for batch in RecordingSource(*data_sets(recipe), encode=loaded.tokenizer.encode).validation()
        for one in apart(batch)
    ]
    letters = torch.cat([letters_of(*loaded.model.log_probs(one.waveform, one.lengths), one) for one in batches])
    found: dict[str, dict[str, float]] = {}
    for run in encoders:
        stage = model_folder.load_stored(f"{run}/best")
        torch.manual_seed(0)
        found[run] = by_layer(stage.model(), batches, letters)
        found.setdefault("random weights", by_layer(models.build(stage.config).eval(), batches, letters))  # type: ignore[arg-type]
    one_code = float(letters.bincount().max() / len(letters))
    return {"frames": len(letters), "codes": CODES, "most_frequent_letter": one_code, "purity": found}


def apart(batch: Batch) -> Iterator[Batch]:
    """Each utterance of a batch by itself, without padding."""
    assert batch.tokens is not None and batch.token_lengths is not None
    for row, (samples, tokens) in enumerate(zip(batch.lengths.tolist(), batch.token_lengths.tolist(), strict=True)):
        yield replace(
            batch, ids=[batch.ids[row]], waveform=batch.waveform[row : row + 1, :samples],
            lengths=batch.lengths[row : row + 1], tokens=batch.tokens[row : row + 1, :tokens],
            token_lengths=batch.token_lengths[row : row + 1],
        )  # fmt: skip


def letters_of(log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
    """The letter of each frame; blanks belong to the letter before, or at the beginning to the first. (F,)"""
    assert batch.tokens is not None
    tokens = batch.tokens[0].tolist()
    states = viterbi(log_probs[0, : lengths[0]], tokens).states  # 2 i + 1 is token i, even states are blanks
    return torch.tensor([tokens[max(int(state) - 1, 0) // 2] for state in states])


def by_layer(model: Model, batches: Iterable[Batch], letters: Tensor) -> dict[str, float]:
    """Purity of the codes of each layer's output, and of the encoder's."""
    outputs: dict[str, list[Tensor]] = {}
    encoder = model.encoder
    for place, layer in enumerate(encoder.transformer.layers, start=1):  # type: ignore[union-attr, arg-type]
        layer.register_forward_hook(
            lambda _module, _given, output, name=f"layer {place}": outputs.setdefault(name, []).append(output[0])
        )
    for one in batches:
        outputs.setdefault("output", []).append(encoder(one.waveform, one.lengths).features[0])
    return {name: purity(torch.cat(frames), letters) for name, frames in sorted(outputs.items())}


def purity(frames: Tensor, letters: Tensor) -> float:
    """Share of frames whose letter is the most frequent of their code. (n, D), (n,)"""
    ids = nearest_entry(frames, kmeans(frames, CODES))
    counts = torch.zeros(CODES, int(letters.max()) + 1).index_put_((ids, letters), torch.ones(()), accumulate=True)
    return round(float(counts.max(dim=1).values.sum() / len(letters)), 4)


def exchanged(run: str) -> dict[str, float]:
    """Word error rate on the run's validation set, by what is fused with the noisy representations."""
    recipe = config.load(Recipe, Path(run) / "recipe.yaml")
    loaded = model_folder.load(f"{run}/best")
    task = tasks.build(recipe.task, loaded.model, loaded.tokenizer)
    assert isinstance(task, Wav2CodeTask)
    model, batches = task.model, list(RecordingSource(*data_sets(recipe), encode=loaded.tokenizer.encode).validation())
    rates = {"predicted": task.validate(batches)["wer"]}
    plain, decoded = model.restore, list[Batch]()
    for name in ("clean codes", "clean", "noisy"):

        def restore(waveform: Tensor, lengths: Tensor, name: str = name) -> Restoration:
            return other(model, plain(waveform, lengths), task, decoded[-1], name)

        model.restore = restore  # type: ignore[method-assign]
        rates[name] = task.validate(decoded.append(batch) or batch for batch in batches)["wer"]  # type: ignore[func-returns-value]
    return {name: round(rate, 4) for name, rate in rates.items()}


def other(model: Wav2Code, output: Restoration, task: Wav2CodeTask, batch: Batch, name: str) -> Restoration:
    """The same with other representations in place of the restored ones."""
    clean, ids = task.targets(batch)
    restored = {"clean codes": model.codebook.lookup(ids), "clean": clean, "noisy": output.noisy}[name]
    restored = zero_padding(restored, output.lengths)
    return replace(output, restored=restored, fused=model.fusion(output.noisy, restored, output.lengths))


if __name__ == "__main__":
    main()
