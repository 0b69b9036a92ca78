"""What a language model of the training transcripts gives on AN4: greedy, + word n-gram, + lexicon.

    NOISEWISE_DATA=... python benchmarks/decoding_an4.py [--grid 130] [--output results/decoding_an4.json]

The language model (modified Kneser-Ney, `noisewise lm train`) and the lexicon hold the AN4 training transcripts without
those of the eight speakers that the box's training held back; on these, clean and with training noises, weight and
bonus are tuned. The test is AN4 test, clean and in the mixtures of `results/box_an4.json`, or those of `--grid` evenly
spaced utterances (0: clean only). All ways decode the same log-probabilities.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from transcription import machine, model_of

from noisewise.config import dump
from noisewise.data import manifest as manifests
from noisewise.data.noise import NoiseConfig, NoisePool
from noisewise.decoding import kneser_ney
from noisewise.decoding.beam import BeamConfig
from noisewise.decoding.decoder import DecodingConfig
from noisewise.evaluation.provenance import versions
from noisewise.evaluation.speech import Speech
from noisewise.evaluation.tuning import HeardTexts, hear, heard, tune
from noisewise.recogniser import Recogniser
from noisewise.scoring.words import bootstrap, score

HELD_BACK = "fclc,fjam,fnsv,mblw,mdxn,mgah,mjhp,mtje"
TRAIN = f"$NOISEWISE_DATA/an4#split=train&speaker!={HELD_BACK}"
DEVELOPMENT = f"$NOISEWISE_DATA/an4#split=train&speaker={HELD_BACK}"
TEST, NOISE = "$NOISEWISE_DATA/an4#split=test", "$NOISEWISE_DATA/noise#split="
TYPES = ["traffic", "metro", "car", "babble", "airport_station", "ac_vacuum", "cafe"]
SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
DEVELOPMENT_SNR_DB = (0.0, 10.0)
SEARCH = BeamConfig(beam=25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=int, default=130, help="so many utterances in noise; 0: clean only")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--development", type=int, default=None, help="so many utterances; all when left out")
    parser.add_argument("--output", type=Path, default=Path("results/decoding_an4.json"))
    options = parser.parse_args()
    if "NOISEWISE_DATA" not in os.environ:
        raise SystemExit("NOISEWISE_DATA must name the folder that holds an4/ and noise/, but is not set")
    import torch

    torch.set_num_threads(1)
    recogniser = Recogniser.load("box", decoding="greedy")
    with tempfile.TemporaryDirectory() as folder:
        untuned = configurations(Path(folder))
        ways, development = tuned(recogniser, untuned, options.trials, options.development)
        result: dict[str, Any] = {
            "command": f"python benchmarks/decoding_an4.py --grid {options.grid} --trials {options.trials}"
            + (f" --development {options.development}" if options.development else ""),
            "machine": {**machine(), "threads": 1},
            "versions": versions(),
            "model": model_of("box"),
            "language_model": f"word trigram of {TRAIN}",
            "development": {"manifest": DEVELOPMENT, "snr_db": [None, *DEVELOPMENT_SNR_DB], "wer": development},
            "test": {"manifest": TEST, "noise": f"{NOISE}test", "types": TYPES, "snr_db": SNR_DB, "seed": 0},
            "ways": {name: settings(config) for name, config in ways.items()},
            "clean": measured(recogniser, ways, None),
        }
        save(result, options.output)
        if options.grid:
            result["grid"] = measured(recogniser, ways, options.grid)
            save(result, options.output)


def configurations(folder: Path) -> dict[str, DecodingConfig]:
    """The ways that have something to tune; the language model and the lexicon go into the folder."""
    texts = [manifests.text_of(cut) or "" for cut in manifests.read(TRAIN)]
    kneser_ney.train([text.split() for text in texts], order=3).save(folder / "lm.arpa")
    (folder / "words.txt").write_text("\n".join(sorted({word for text in texts for word in text.split()})))
    ngram = DecodingConfig(search=SEARCH, lm=str(folder / "lm.arpa"))
    return {"n-gram": ngram, "n-gram and lexicon": replace(ngram, lexicon=str(folder / "words.txt"))}


def tuned(
    recogniser: Recogniser, untuned: dict[str, DecodingConfig], trials: int, limit: int | None
) -> tuple[dict[str, DecodingConfig | None], dict[str, float]]:
    """All ways with the best weights, and their word error rates on the development set."""
    texts = hear(recogniser, DEVELOPMENT, f"{NOISE}train", DEVELOPMENT_SNR_DB, types=TYPES, limit=limit)
    ways: dict[str, DecodingConfig | None] = {"greedy": None, "beam": DecodingConfig(search=SEARCH)}
    wer = {name: round(texts.wer(config), 6) for name, config in ways.items()}
    print(wer, flush=True)
    start: dict[str, Any] = {}
    for name, config in untuned.items():
        found, tried = tune(
            texts, replace(config, **start), trials=trials, progress=lambda trial: print(trial, flush=True)
        )
        ways[name], wer[name] = found, round(min(trial.wer for trial in tried), 6)
        start = {"lm_weight": found.lm_weight, "bonus": found.bonus}
    return ways, wer


def measured(recogniser: Recogniser, ways: dict[str, DecodingConfig | None], grid: int | None) -> dict[str, Any]:
    """Error rates of each way: of the whole clean test set, or of the grid of some of it."""
    speech = Speech.read(TEST, grid)
    pool = NoisePool.load(NoiseConfig(manifest=f"{NOISE}test", types=TYPES), 0)
    conditions = [None] if grid is None else [(kind, snr_db) for kind in TYPES for snr_db in SNR_DB]
    sources, speakers = [], []
    for one in speech.utterances:
        sources += [(one.text, waveform) for waveform in waveforms(speech, pool, one.id, conditions)]
        speakers += [one.speaker] * len(conditions)
    texts = heard(recogniser, sources)
    if len(texts.references) != len(sources):
        raise SystemExit("every mixture must be heard, but some were not")
    found = {name: way_measured(texts, config, speakers, len(conditions)) for name, config in ways.items()}
    print(json.dumps(found), flush=True)
    return {"utterances": len(speech.utterances), "conditions": len(conditions), **found}


def waveforms(speech: Speech, pool: NoisePool, name: str, conditions: list[Any]) -> Iterator[Callable[[], Any]]:
    """How to come by an utterance under each condition."""
    for condition in conditions:
        if condition is None:
            yield lambda: speech.waveform(name)
        else:
            yield lambda kind=condition[0], snr_db=condition[1]: pool.at(name, kind, snr_db, speech.waveform(name))[0]


def way_measured(
    texts: HeardTexts, config: DecodingConfig | None, speakers: list[str], conditions: int
) -> dict[str, Any]:
    """Word error rate of one way, with an interval that resamples utterances, all conditions of one together."""
    found = score(texts.references, texts.decode(config))
    errors = found.per_utterance
    summed = [sum(errors[at + 1 : at + conditions], errors[at]) for at in range(0, len(errors), conditions)]
    by_speaker = bootstrap(summed, groups=speakers[::conditions])
    interval = bootstrap(summed)
    return {
        "wer": round(found.wer, 6),
        "ci": [round(interval.low, 6), round(interval.high, 6)],
        "ci_by_speaker": [round(by_speaker.low, 6), round(by_speaker.high, 6)],
        "words": found.words.reference_words,
    }


def settings(config: DecodingConfig | None) -> dict[str, Any] | str:
    """A configuration without paths of this machine."""
    if config is None:
        return "greedy"
    return {**dump(config), **{name: Path(file).name for name in ("lm", "lexicon") if (file := getattr(config, name))}}


def save(result: dict[str, Any], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
