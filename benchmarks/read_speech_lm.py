"""What a language model of books gives the AN4 model on read speech that it was never trained for.

    NOISEWISE_DATA=... python benchmarks/read_speech_lm.py [--output results/decoding/read_speech_lm.json]

A word trigram (modified Kneser-Ney, the 20,000 most frequent words, trigrams that occur once left out) of all text in
the data pack, which shares no eight words in a row with the tests; librispeech_mini and ljspeech_mini, clean. Weight
and bonus are the defaults: there is no development set of such speech, and none of these numbers chose anything.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from decoding_an4 import save, settings
from transcription import machine, model_of

from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.evaluation.provenance import versions
from noisewise.inference.recogniser import Recogniser
from noisewise.lm import kneser_ney, loading
from noisewise.lm import protocol as lm
from noisewise.scoring.words import bootstrap, score
from noisewise.text import sentences
from noisewise.tuning.posteriors import DevSetPosteriors, compute_posteriors

TESTS = ("librispeech_mini", "ljspeech_mini")
VOCABULARY, ORDER, PRUNE = 20_000, 3, (0, 0, 1)
SEARCH = BeamConfig(beam=25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("results/decoding/read_speech_lm.json"))
    options = parser.parse_args()
    if "NOISEWISE_DATA" not in os.environ:
        raise SystemExit("NOISEWISE_DATA must name the folder that holds text/ and the tests, but is not set")
    import torch

    torch.set_num_threads(1)
    data = Path(os.environ["NOISEWISE_DATA"])
    recogniser = Recogniser.load("tests/fixtures/an4_ctc", decoding="greedy")
    with tempfile.TemporaryDirectory() as folder:
        spent = time.process_time()
        ways = configurations(data / "text", Path(folder))
        model = loading.load(str(ways["n-gram"].lm)) if ways["n-gram"] else None
        spent = time.process_time() - spent
        assert model is not None
        tests = {name: compute_posteriors(recogniser, f"$NOISEWISE_DATA/{name}") for name in TESTS}
        result: dict[str, Any] = {
            "command": "python benchmarks/read_speech_lm.py",
            "machine": {**machine(), "threads": 1},
            "versions": versions(),
            "model": model_of("tests/fixtures/an4_ctc"),
            "language_model": f"word {ORDER}-gram of $NOISEWISE_DATA/text, {VOCABULARY} words, pruned {PRUNE}",
            "train_and_load_seconds": round(spent, 1),
            "settings": {name: settings(config) for name, config in ways.items()},
            "tests": {
                name: {way: measured(texts, config, model) for way, config in ways.items()}
                | {"out_of_vocabulary": round(unknown(texts, model), 4)}
                for name, texts in tests.items()
            },
        }
    save(result, options.output)


def configurations(texts: Path, folder: Path) -> dict[str, DecodingConfig | None]:
    """All ways; the language model and its words go into the folder."""
    text = sentences.read(sorted(texts.glob("*.txt")))
    kneser_ney.train(text, ORDER, prune=PRUNE, vocabulary=VOCABULARY).save(folder / "lm.arpa")
    with (folder / "lm.arpa").open(encoding="utf-8") as file:
        unigrams = [line.split("\t")[1].strip() for line in section(file)]
    words = [word for word in unigrams if not word.startswith("<")]
    (folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    ngram = DecodingConfig(search=SEARCH, lm=str(folder / "lm.arpa"))
    return {
        "greedy": None,
        "beam": DecodingConfig(search=SEARCH),
        "n-gram": ngram,
        "n-gram and lexicon": replace(ngram, lexicon=str(folder / "words.txt")),
    }


def section(lines: Any) -> list[str]:
    """The unigrams of an ARPA file."""
    found: list[str] = []
    for line in lines:
        if line.startswith("\\2-grams"):
            break
        if line.count("\t"):
            found.append(line)
    return found


def unknown(texts: DevSetPosteriors, model: lm.LanguageModel) -> float:
    """Share of the words said that the language model does not know."""
    words = [word for text in texts.references for word in text.split()]
    return sum(not model.knows(word) for word in words) / len(words)


def measured(texts: DevSetPosteriors, config: DecodingConfig | None, model: lm.LanguageModel) -> dict[str, Any]:
    """Error rates of one way."""
    spent = time.process_time()
    said = texts.decode(config, model if config is not None and config.lm else None)
    spent = time.process_time() - spent
    found = score(texts.references, said)
    interval = bootstrap(found.per_utterance)
    return {
        "wer": round(found.wer, 4),
        "ci": [round(interval.low, 4), round(interval.high, 4)],
        "cer": round(found.cer, 4),
        "decoding_seconds": round(spent, 1),
    }


if __name__ == "__main__":
    main()
