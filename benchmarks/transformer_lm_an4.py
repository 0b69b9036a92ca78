"""What a Transformer language model gives on AN4: fused into the search, or choosing among what an n-gram has found.

    NOISEWISE_DATA=... noisewise train recipes/mini/lm_an4.yaml
    NOISEWISE_DATA=... python benchmarks/transformer_lm_an4.py [--model MODEL] [--lm runs/lm_an4/best] [--grid 130]

The language model has read what the n-gram of `benchmarks/decoding_an4.py` has read, the AN4 training transcripts
without those of the eight speakers that the AN4 model's training held back; on these, clean and with training noises,
weights and bonuses are tuned. First passes by n-grams have the weights of `--first-passes`, what
`benchmarks/decoding_an4.py` has found for the same `--model`. The test is AN4 test, clean and in the mixtures of
`results/an4_ctc/an4.json`, or those of `--grid` evenly spaced utterances (0: clean only). All ways decode the same
log-probabilities; `--keep` keeps them, and what was tried, in a folder for the next run, and `--ways` measures some
ways and leaves the others in the file as they are; weights that the file has are not looked for again.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from decoding_an4 import (
    DEVELOPMENT,
    DEVELOPMENT_SNR_DB,
    NOISE,
    SEARCH,
    SNR_DB,
    TEST,
    TRAIN,
    TYPES,
    development_texts,
    save,
    test_texts,
    way_measured,
)
from transcription import machine, model_of

from noisewise.checkpoints.model_folder import weights_hash
from noisewise.config import dump, parse
from noisewise.data.manifests import read as manifests
from noisewise.decoding import saved_config as default
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.rescoring import RescoringConfig
from noisewise.evaluation.provenance import versions
from noisewise.inference import language_model
from noisewise.inference.recogniser import Recogniser
from noisewise.lm import kneser_ney
from noisewise.lm.protocol import LanguageModel, measure
from noisewise.text.normalise import normalise
from noisewise.tuning.cache import TuningCache
from noisewise.tuning.ctc import WeightTrial
from noisewise.tuning.posteriors import DevSetPosteriors
from noisewise.tuning.rescoring import tune_rescoring

NBEST = 25
WAYS = (
    "n-gram",
    "n-gram and lexicon",
    "n-gram then Transformer",
    "n-gram and lexicon then Transformer",
    "Transformer",
    "Transformer and lexicon",
)
PAIRS = {
    "Transformer": [(0.05, 0.02), (0.3, 1.2), (0.5, 2.5)],
    "Transformer and lexicon": [(0.5, 3.25), (0.8, 5.2), (0.26, 0.02)],
}
"""Weights and bonuses that are tried in the search: near those of the n-gram, and of rescoring."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="tests/fixtures/an4_ctc", help="a recogniser: its folder; the AN4 model if left out"
    )
    parser.add_argument("--first-passes", type=Path, default=Path("results/decoding/an4.json"))
    parser.add_argument("--lm", type=Path, default=Path("runs/lm_an4/best"), help="folder of the language model")
    parser.add_argument("--grid", type=int, default=130, help="so many utterances in noise; 0: clean only")
    parser.add_argument("--ways", default=None, help="measure only these, with commas between")
    parser.add_argument("--keep", type=Path, default=None, help="folder for log-probabilities and trials")
    parser.add_argument("--output", type=Path, default=Path("results/decoding/transformer_lm_an4.json"))
    options = parser.parse_args()
    if "NOISEWISE_DATA" not in os.environ:
        raise SystemExit("NOISEWISE_DATA must name the folder that holds an4/ and noise/, but is not set")
    import torch

    torch.set_num_threads(1)
    recogniser, cache = Recogniser.load(options.model, decoding="greedy"), TuningCache(options.keep)
    model = language_model.load(options.lm)
    with tempfile.TemporaryDirectory() as folder:
        trigram, lexicon = write_trigram(Path(folder))
        texts = development_texts(recogniser, cache, None)
        wanted = options.ways.split(",") if options.ways else list(WAYS)
        paths = {options.lm.name: str(options.lm), "lm.arpa": trigram, "words.txt": lexicon}
        ways, development = known([options.first_passes, options.output], wanted, paths)
        wanted = [name for name in wanted if name not in ways]
        first_passes = json.loads(options.first_passes.read_text(encoding="utf-8"))["ways"]
        found, wer = tuned(texts, cache, wanted, first_passes, str(options.lm), model, trigram, lexicon)
        ways, development = {**ways, **found}, {**development, **wer}
        result: dict[str, Any] = {
            "command": f"python benchmarks/transformer_lm_an4.py --model {options.model}"
            + f" --first-passes {options.first_passes} --grid {options.grid}"
            + (f" --ways {shlex.quote(options.ways)}" if options.ways else ""),
            "machine": {**machine(), "threads": 1},
            "versions": versions(),
            "model": model_of(options.model),
            "language_model": about(options.lm, model, trigram),
            "development": {"manifest": DEVELOPMENT, "snr_db": [None, *DEVELOPMENT_SNR_DB], "wer": development},
            "test": {"manifest": TEST, "noise": f"{NOISE}test", "types": TYPES, "snr_db": SNR_DB, "seed": 0},
            "ways": {name: dump(default.moved(each, lambda _, file: Path(file).name)) for name, each in ways.items()},
            "clean": measured(recogniser, cache, ways, None),
        }
        if options.grid:
            result["grid"] = measured(recogniser, cache, ways, options.grid)
        save(added_to(options.output, result) if options.ways and options.output.is_file() else result, options.output)


def added_to(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """What a file holds, with the ways of a result in the place of those of the same names, or after them."""
    old: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if any(old[part] != json.loads(json.dumps(result[part])) for part in ("model", "language_model", "test")):
        raise SystemExit(f"{path} must be of the same models and test, but is not; measure all ways")
    for part in ("clean", "grid"):
        if part in result:
            old[part] = {**old.get(part, {}), **result[part]}
    old["development"]["wer"] |= result["development"]["wer"]
    old["ways"] |= result["ways"]
    old["commands"] = {**old.get("commands", {}), **dict.fromkeys(result["ways"], result["command"])}
    return old


def write_trigram(folder: Path) -> tuple[str, str]:
    """The n-gram and the lexicon of the first passes."""
    texts = [(manifests.text_of(cut) or "").split() for cut in manifests.read(TRAIN)]
    kneser_ney.train(texts, order=3).save(folder / "lm.arpa")
    (folder / "words.txt").write_text("\n".join(sorted({word for text in texts for word in text})))
    return str(folder / "lm.arpa"), str(folder / "words.txt")


def known(
    files: list[Path], wanted: list[str], paths: dict[str, str]
) -> tuple[dict[str, DecodingConfig], dict[str, float]]:
    """Ways whose weights have been found before."""
    ways: dict[str, DecodingConfig] = {}
    wer: dict[str, float] = {}
    for path in files:
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"ways": {}}
        for name in [name for name in wanted if name in before["ways"]]:
            config = parse(DecodingConfig, before["ways"][name])
            ways[name] = default.moved(config, lambda _, file: paths[Path(file).name])
            wer[name] = before["development"]["wer"][name]
    return ways, wer


def tuned(
    texts: DevSetPosteriors,
    cache: TuningCache,
    wanted: list[str],
    first_passes: dict[str, Any],
    lm: str,
    model: LanguageModel,
    trigram: str,
    lexicon: str,
) -> tuple[dict[str, DecodingConfig], dict[str, float]]:
    """All ways with the best weights, and their word error rates on the development set."""
    ways: dict[str, DecodingConfig] = {}
    wer: dict[str, float] = {}
    for name, words in (("n-gram", None), ("n-gram and lexicon", lexicon)):
        way = f"{name} then Transformer"
        if way not in wanted:
            continue
        weights = {key: first_passes[name][key] for key in ("lm_weight", "bonus", "unknown_penalty")}
        config = DecodingConfig(search=SEARCH, lm=trigram, lexicon=words, **weights)
        config = replace(config, rescoring=RescoringConfig(lm=lm, nbest=NBEST))
        ways[way], found, lists = tune_rescoring(texts, config, rescorer=model)
        wer[way], wer[f"{name}: best of {NBEST}"] = round(found, 6), round(lists.oracle, 6)
        print(way, found, lists.oracle, ways[way].rescoring, flush=True)
    for name, words in (("Transformer", None), ("Transformer and lexicon", lexicon)):
        if name not in wanted:
            continue
        config = DecodingConfig(search=SEARCH, lm=lm, lexicon=words)
        kept = cache.trials({"weights": weights_hash(lm), "way": name, "pairs": PAIRS[name]})
        tried = kept.read()
        for weight, bonus in PAIRS[name][len(tried) :]:
            tried.append(WeightTrial(weight, bonus, texts.wer(replace(config, lm_weight=weight, bonus=bonus), model)))
            kept.add(tried[-1])
            print(name, tried[-1], flush=True)
        best = min(tried, key=lambda trial: trial.wer)
        ways[name], wer[name] = replace(config, lm_weight=best.lm_weight, bonus=best.bonus), round(best.wer, 6)
    return ways, wer


def about(folder: Path, model: LanguageModel, trigram: str) -> dict[str, Any]:
    """What the language model is, and how well it foresees the development set, beside the n-gram."""
    said = [normalise(manifests.text_of(cut) or "").split() for cut in manifests.read(DEVELOPMENT)]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = {name: round(measure(each, said).perplexity, 2) for name, each in (
        ("Transformer", model), ("trigram", language_model.load(trigram)),
    )}  # fmt: skip
    return {
        "recipe": "recipes/mini/lm_an4.yaml",
        "step": config["step"],
        "text": TRAIN,
        "weights_sha256": weights_hash(folder),
        "perplexity": weights,
    }


def measured(
    recogniser: Recogniser, cache: TuningCache, ways: dict[str, DecodingConfig], grid: int | None
) -> dict[str, Any]:
    """Error rates of each way: of the whole clean test set, or of the grid of some of it."""
    conditions = [None] if grid is None else [(kind, snr_db) for kind in TYPES for snr_db in SNR_DB]
    texts, speakers = test_texts(recogniser, cache, conditions, grid)
    found: dict[str, Any] = {}
    frames = sum(map(len, texts.log_probs))
    for name, config in ways.items():
        began = time.process_time()
        found[name] = way_measured(texts, config, speakers, len(conditions))
        found[name]["microseconds_per_frame"] = round(1e6 * (time.process_time() - began) / frames, 1)
        print(name, json.dumps(found[name]), flush=True)
    return {"utterances": len(speakers) // len(conditions), "conditions": len(conditions), **found}


if __name__ == "__main__":
    main()
