"""The attention encoder-decoder on AN4: by CTC, by attention, by both in one pass or two, with language models.

    NOISEWISE_DATA=... noisewise train recipes/mini/encoder_decoder.yaml
    NOISEWISE_DATA=... python benchmarks/encoder_decoder_an4.py [--model runs/encoder_decoder/best] [--grid 130]

All ways decode what the encoder makes of the same recordings. Weights are those with the fewest word errors on the
eight speakers that training held back, clean and with training noises; the trigram, the mixture and their lexicons are
those of `benchmarks/decoding_an4.py`. The test is AN4 test, clean and in the mixtures of `results/an4_ctc/an4.json`, or
those of `--grid` evenly spaced utterances (0: clean only). `--ways` measures some ways, with `;` between, and leaves
the others in the file as they are.
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

import torch

sys.path.insert(0, str(Path(__file__).parent))
import an4_text
from decoding_an4 import (
    BY_HAND,
    DEVELOPMENT,
    DEVELOPMENT_SNR_DB,
    NOISE,
    SEARCH,
    SNR_DB,
    TEST,
    TRAIN,
    TYPES,
    added_to,
    development_texts,
    save,
    settings,
    test_texts,
    way_measured,
)
from transcription import machine, model_of

from noisewise.data.manifests import read as manifests
from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.attention.search import Begin
from noisewise.decoding.config import DecodingConfig
from noisewise.evaluation.provenance import versions
from noisewise.inference.recogniser import Recogniser
from noisewise.scoring.words import score
from noisewise.tuning.attention import tune_attention
from noisewise.tuning.cache import TuningCache
from noisewise.tuning.ctc import tune_ctc
from noisewise.tuning.posteriors import DevSetPosteriors

PIECE_SECONDS = 8.0
"""AN4's longest utterance lasts 6.4 s."""
WAYS = (
    "CTC, greedy",
    "CTC, beam",
    "attention",
    "both, two passes",
    "both",
    "both, n-gram and lexicon",
    "CTC, mixture and lexicon",
    "both, mixture and lexicon",
)
START: dict[str, Any] = {"lm_weight": 0.3, "bonus": 0.5}
"""Where the search for the weights of a language model beside attention begins."""
Ways = dict[str, DecodingConfig | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="runs/encoder_decoder/best", help="folder of the encoder-decoder")
    parser.add_argument("--grid", type=int, default=130, help="so many utterances in noise; 0: clean only")
    parser.add_argument("--ways", default=None, help="measure only these, with ; between")
    parser.add_argument("--output", type=Path, default=Path("results/encoder_decoder/an4.json"))
    options = parser.parse_args()
    if "NOISEWISE_DATA" not in os.environ:
        raise SystemExit("NOISEWISE_DATA must name the folder that holds an4/ and noise/, but is not set")
    torch.set_num_threads(1)
    wanted = options.ways.split(";") if options.ways else list(WAYS)
    # attention must take part, for else the recogniser would not give what the decoder looks at
    recogniser = Recogniser.load(options.model, decoding=joint())
    with tempfile.TemporaryDirectory() as folder:
        ways, development = tuned(recogniser, wanted, Path(folder))
        command = f"python {' '.join(map(shlex.quote, ['benchmarks/encoder_decoder_an4.py', *sys.argv[1:]]))}"
        result: dict[str, Any] = {
            "command": command,
            "machine": {**machine(), "threads": 1},
            "versions": versions(),
            "model": model_of(options.model),
            "language_model": f"word trigram of {TRAIN}; mixture of the same and names in $NOISEWISE_DATA/text",
            "mixture": mixture_of(Path(folder)),
            "development": {"manifest": DEVELOPMENT, "snr_db": [None, *DEVELOPMENT_SNR_DB], "wer": development},
            "test": {"manifest": TEST, "noise": f"{NOISE}test", "types": TYPES, "snr_db": SNR_DB, "seed": 0},
            "ways": {name: settings(config) for name, config in ways.items()},
            "clean": measured(recogniser, ways, None),
        }
        if options.grid:
            result["grid"] = measured(recogniser, ways, options.grid)
    save(added_to(options.output, result) if options.ways and options.output.is_file() else result, options.output)


def mixture_of(folder: Path) -> Any:
    """The parts of the mixture and their weights."""
    return json.loads((folder / "mixture" / "mixture.json").read_text(encoding="utf-8"))


def joint(**values: Any) -> DecodingConfig:
    """A search by attention and CTC."""
    return DecodingConfig(search=SEARCH, attention=JointConfig(piece_seconds=PIECE_SECONDS, **values))


def tuned(recogniser: Recogniser, wanted: list[str], folder: Path) -> tuple[Ways, dict[str, float]]:
    """The ways with the best weights, and their word error rates on the development set."""
    texts, begin = development_texts(recogniser, TuningCache(None), None), recogniser.begin
    train, development = (
        [(manifests.text_of(cut) or "").split() for cut in manifests.read(m)] for m in (TRAIN, DEVELOPMENT)
    )
    trigram, words = an4_text.write_trigram(folder, train)
    names = an4_text.names(Path(os.environ["NOISEWISE_DATA"]) / "text")
    mixture, all_words = an4_text.write_mixture(folder, train, names, development)
    ways: Ways = {}
    wer: dict[str, float] = {}
    for name in wanted:
        if name == "CTC, greedy":
            ways[name] = None
        elif name == "CTC, beam":
            ways[name] = DecodingConfig(search=SEARCH)
        elif name == "CTC, mixture and lexicon":
            mixed = DecodingConfig(search=SEARCH, lm=str(mixture), lexicon=str(all_words), **BY_HAND)
            ways[name] = tune_ctc(texts, mixed, trials=8)[0]
        else:
            start = joint(mode="rescoring" if name == "both, two passes" else "one_pass")
            if name == "attention":
                start = joint(ctc_weight=0.0)
            if name == "both, n-gram and lexicon":
                start = replace(start, lm=str(trigram), lexicon=str(words), **START)
            if name == "both, mixture and lexicon":
                start = replace(start, lm=str(mixture), lexicon=str(all_words), **START)
            ways[name] = tune_attention(texts, start, begin)[0]
        wer[name] = round(development_wer(texts, ways[name], begin), 6)
        print(name, wer[name], settings(ways[name]), flush=True)
    return ways, wer


def development_wer(texts: DevSetPosteriors, config: DecodingConfig | None, begin: Begin) -> float:
    return score(texts.references, texts.decode(config, begin=begin)).wer


def measured(recogniser: Recogniser, ways: Ways, grid: int | None) -> dict[str, Any]:
    """Error rates of each way: of the whole clean test set, or of the grid of some of it."""
    conditions = [None] if grid is None else [(kind, snr_db) for kind in TYPES for snr_db in SNR_DB]
    texts, speakers = test_texts(recogniser, TuningCache(None), conditions, grid)
    found: dict[str, Any] = {}
    frames = sum(map(len, texts.log_probs))
    for name, config in ways.items():
        began = time.process_time()
        found[name] = way_measured(texts, config, speakers, len(conditions), recogniser.begin)
        found[name]["microseconds_per_frame"] = round(1e6 * (time.process_time() - began) / frames, 1)
        print(name, found[name], flush=True)
    return {"utterances": len(speakers) // len(conditions), "conditions": len(conditions), **found}


if __name__ == "__main__":
    main()
