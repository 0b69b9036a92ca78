"""What hotwords give and cost: names that are spelled out in noise, with and without a list of them.

    NOISEWISE_DATA=... python benchmarks/hotwords.py [--output results/decoding/hotwords.json]

The names are the sentences of AN4 test of three letters or more and nothing else (`C I N D Y`) that nobody spells in
AN4 train. The list holds all of them, so that each is also a distractor for the others. A second list holds as many
names that nobody says, evenly spaced among those of three letters or more that the books of the data pack mention; a
third holds both. Recall is the share of the names that come out whole; false alarms are names of the list that come out
without having been said, for 100 recordings. The boost is the default. AN4 test, clean and at 0, 5 and 10 dB with seven
types of noise in turn; intervals resample utterances, all conditions of one together.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import an4_text
from decoding_an4 import BY_HAND, DEVELOPMENT, NOISE, SEARCH, TEST, TRAIN, TYPES, save, settings
from transcription import machine, model_of

from noisewise.checkpoints.model_folder import weights_hash
from noisewise.data.manifests import read as manifests
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.recording_decoder import FOR_HOTWORDS
from noisewise.evaluation.provenance import versions
from noisewise.inference.recogniser import Recogniser
from noisewise.lm import loading
from noisewise.scoring.words import bootstrap, score
from noisewise.tuning.cache import TuningCache
from noisewise.tuning.posteriors import DevSetPosteriors, compute_posteriors

MODEL = "tests/fixtures/an4_ctc"
SNR_DB = (0.0, 5.0, 10.0)
RESAMPLES = 1000


@dataclass(frozen=True)
class Spoken:
    """Recordings of one set of conditions: all of an utterance stand together."""

    texts: DevSetPosteriors
    conditions: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, default=None, help="folder for log-probabilities")
    parser.add_argument("--output", type=Path, default=Path("results/decoding/hotwords.json"))
    options = parser.parse_args()
    if "NOISEWISE_DATA" not in os.environ:
        raise SystemExit("NOISEWISE_DATA must name the folder that holds an4/, noise/ and text/, but is not set")
    import torch

    torch.set_num_threads(1)
    recogniser, cache = Recogniser.load(MODEL, decoding="greedy"), TuningCache(options.keep)
    train, development, test = (sentences(manifest) for manifest in (TRAIN, DEVELOPMENT, TEST))
    books = an4_text.names(Path(os.environ["NOISEWISE_DATA"]) / "text")
    names = rare(test, train + development)
    others = distractors(books, test + train + development, len(names))
    lists = {"names": names, "distractors": others, "names and distractors": names + others}
    sets = tested(recogniser, cache)
    with tempfile.TemporaryDirectory() as folder:
        ways = configurations(Path(folder), train, books, development)
        result = {
            "command": "python benchmarks/hotwords.py",
            "machine": {**machine(), "threads": 1},
            "versions": versions(),
            "model": model_of(MODEL),
            "lists": lists,
            "test": {"manifest": TEST, "noise": f"{NOISE}test", "types": TYPES, "snr_db": [None, *SNR_DB]},
            "settings": {name: settings(config) for name, config in ways.items()},
            "ways": {name: measure(config, lists, sets) for name, config in ways.items()},
        }
    save(result, options.output)


def sentences(manifest: str) -> list[list[str]]:
    return [(manifests.text_of(cut) or "").split() for cut in manifests.read(manifest)]


def rare(said: list[list[str]], known: list[list[str]]) -> list[str]:
    """Names of three letters or more that are spelled in some sentences and are no sentence of others."""
    common = {" ".join(sentence) for sentence in known}
    names = {" ".join(sentence) for sentence in said if len(sentence) > 2 and an4_text.is_spelled(sentence)}
    return sorted(names - common)


def distractors(books: list[list[str]], said: list[list[str]], count: int) -> list[str]:
    """So many names of books, evenly spaced, that are no sentence of a corpus."""
    names = sorted({" ".join(name) for name in books if len(name) > 2} - {" ".join(sentence) for sentence in said})
    return [names[at * len(names) // count] for at in range(count)]


def configurations(
    folder: Path, train: list[list[str]], books: list[list[str]], development: list[list[str]]
) -> dict[str, DecodingConfig]:
    """What `transcribe` does by itself, and the mixture of `decoding_an4.py` with its weights there."""
    mixed, words = an4_text.write_mixture(folder, train, books, development)
    return {
        "greedy": FOR_HOTWORDS,
        "mixture and lexicon": DecodingConfig(search=SEARCH, lm=str(mixed), lexicon=str(words), **BY_HAND),
    }


def tested(recogniser: Recogniser, cache: TuningCache) -> dict[str, Spoken]:
    """The test set, clean and in noise."""
    told = {"weights": weights_hash(MODEL), "manifest": TEST, "in_turn": SNR_DB}
    spoken = cache.posteriors(
        told, recogniser.tokenizer, lambda: compute_posteriors(recogniser, TEST, f"{NOISE}test", SNR_DB, types=TYPES)
    )
    size, places = 1 + len(SNR_DB), range(len(spoken.references))
    clean, noisy = [at for at in places if at % size == 0], [at for at in places if at % size]
    return {
        "clean": Spoken(some(spoken, clean), 1),
        "noise": Spoken(some(spoken, noisy), len(SNR_DB)),
    }


def some(texts: DevSetPosteriors, places: list[int]) -> DevSetPosteriors:
    return DevSetPosteriors(
        texts.tokenizer, [texts.references[at] for at in places], [texts.log_probs[at] for at in places]
    )


def measure(config: DecodingConfig, lists: dict[str, list[str]], sets: dict[str, Spoken]) -> dict[str, Any]:
    """Without hotwords (greedy, where there is no language model) and with each list, in each set of conditions."""
    model = loading.load(config.lm) if config.lm else None
    found: dict[str, Any] = {}
    for part, spoken in sets.items():
        alone = None if config.lm is None else config
        found[part] = {"no hotwords": counted(spoken, spoken.texts.decode(alone, model), lists["names"], [])}
        for name, hotwords in lists.items():
            found[part][name] = counted(spoken, spoken.texts.decode(config, model, hotwords), lists["names"], hotwords)
        print(part, json.dumps(found[part]), flush=True)
    return found


def counted(spoken: Spoken, said: list[str], names: list[str], listed: list[str]) -> dict[str, Any]:
    """Recall of the names that were said, false alarms of the list, and word error rates with and without a name."""
    references, size = spoken.texts.references, spoken.conditions
    named = [text in set(names) for text in references]
    right = [name and name_is_in(text, out) for name, text, out in zip(named, references, said, strict=True)]
    alarms = [
        sum(name_is_in(name, out) and not name_is_in(name, text) for name in listed)
        for text, out in zip(references, said, strict=True)
    ]
    hits = np.array([np.mean(right[at : at + size]) for at in range(0, len(said), size) if named[at]])
    drawn = np.random.default_rng(0).integers(len(hits), size=(RESAMPLES, len(hits)))
    low, high = np.quantile(hits[drawn].mean(axis=1), [0.025, 0.975])
    return {
        "recall": round(float(hits.mean()), 4),
        "recall_ci": [round(float(low), 4), round(float(high), 4)],
        "names_said": int(sum(named)),
        "false_alarms_per_100": round(100 * sum(alarms) / len(said), 3),
        "with_a_name": rate(references, said, named, size),
        "elsewhere": rate(references, said, [not each for each in named], size),
    }


def name_is_in(name: str, text: str) -> bool:
    return f" {name} " in f" {text} "


def rate(references: list[str], said: list[str], chosen: list[bool], size: int) -> dict[str, Any]:
    """Word error rate of some recordings, and its interval."""
    pairs = [(text, out) for text, out, is_one in zip(references, said, chosen, strict=True) if is_one]
    found = score([text for text, _ in pairs], [out for _, out in pairs])
    errors = found.per_utterance
    interval = bootstrap([sum(errors[at + 1 : at + size], errors[at]) for at in range(0, len(errors), size)])
    return {"wer": round(found.wer, 6), "ci": [round(interval.low, 6), round(interval.high, 6)]}


if __name__ == "__main__":
    main()
