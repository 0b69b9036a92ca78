"""Beam search beside flashlight-text: the same log-probabilities, language model and beam, in one run on one thread.

    NOISEWISE_DATA=... python benchmarks/beam_search.py [--output results/speed/beam_search.json]

The log-probabilities are those of the AN4 model for AN4 test, clean and in babble at 5 dB. The language model is
a word trigram of the AN4 training transcripts, and the lexicon its words. Times are of the processor, so that other
work on the machine counts little; each pair is measured in turn, several times, and the ratio is the median of the
ratios. A ratio above 1 says that flashlight-text took longer.
"""

import argparse
import cProfile
import csv
import json
import os
import platform
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import noisewise
from noisewise.audio import mix, waveform
from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.ctc.greedy import greedy
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.fusion.lexicon import Lexicon
from noisewise.decoding.fusion.lm_scorers import WordScorer
from noisewise.lm.kneser_ney import train
from noisewise.lm.loading import load
from noisewise.lm.protocol import LN_10, LanguageModel
from noisewise.scoring.words import score
from noisewise.text.tokenizer import CharacterTokenizer

BEAM, THRESHOLD = 50, 15.0
WEIGHT, BONUS = 0.5, 1.0
FRAME_SECONDS = 0.04
TOKENIZER = CharacterTokenizer()
Decode = Callable[[list[Tensor]], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=130)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("results/speed/beam_search.json"))
    options = parser.parse_args()
    if "NOISEWISE_DATA" not in os.environ:
        raise SystemExit("NOISEWISE_DATA must name the folder that holds an4/ and noise/, but is not set")
    torch.set_num_threads(1)
    data = Path(os.environ["NOISEWISE_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        conditions, model_seconds, seconds, texts = transcribe(data, options.utterances)
        lm, words = language_model(data, Path(folder))
        result = {
            "command": "OMP_NUM_THREADS=1 python benchmarks/beam_search.py",
            "what": f"AN4 test, {len(texts)} utterances, {seconds:.0f} s; beam {BEAM}, threshold {THRESHOLD}; "
            "microseconds of one core for each frame of 40 ms",
            "model_us_per_frame": round(1e6 * model_seconds / seconds * FRAME_SECONDS, 1),
            "language_model": f"word trigram of AN4 train, {len(words)} words, weight {WEIGHT}, bonus {BONUS}",
            "conditions": {
                name: measure(log_probs, texts, lm, words, options.repeats) for name, log_probs in conditions.items()
            },
            "profile": profile(conditions["clean"], lm, words),
            "load_average": [round(each, 1) for each in os.getloadavg()],
            "versions": {name: installed(name) for name in ("noisewise", "torch", "numpy", "flashlight-text")},
            "python": platform.python_version(),
            "processor": platform.machine(),
        }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def transcribe(data: Path, utterances: int) -> tuple[dict[str, list[Tensor]], float, float, list[str]]:
    """Log-probabilities of each condition, processor seconds of the model for one of them, seconds of audio, texts."""
    rows = [row for row in read_table(data / "an4") if row["split"] == "test"][:utterances]
    babble = next(row for row in read_table(data / "noise") if row["split"] == "test" and row["label"] == "babble")
    noise = waveform.load(data / "noise" / babble["path"])
    clean = [waveform.load(data / "an4" / row["path"]) for row in rows]
    starts = [(at * 7919 * 16) % (len(noise) - len(each)) for at, each in enumerate(clean)]
    noisy = [mix.mix(each, noise[at : at + len(each)], 5.0).noisy for at, each in zip(starts, clean, strict=True)]
    recogniser, found = noisewise.load("tests/fixtures/an4_ctc"), {}
    recogniser.log_probs(clean[:2])
    for name, waves in (("clean", clean), ("babble at 5 dB", noisy)):
        spent = time.process_time()
        found[name] = [each for at in range(0, len(waves), 16) for each in recogniser.log_probs(waves[at : at + 16])]
        spent = time.process_time() - spent
    return found, spent, sum(map(len, clean)) / waveform.SAMPLE_RATE, [row["text"] for row in rows]


def language_model(data: Path, folder: Path) -> tuple[Path, list[str]]:
    """An ARPA file, and its words."""
    sentences = [row["text"].split() for row in read_table(data / "an4") if row["split"] == "train"]
    train(sentences, order=3).save(folder / "lm.arpa")
    return folder / "lm.arpa", sorted({word for sentence in sentences for word in sentence})


def measure(log_probs: list[Tensor], texts: list[str], lm: Path, words: list[str], repeats: int) -> dict[str, Any]:
    """Both decoders in turn, with and without the language model."""
    fusion = scorers(load(lm), words)
    same = BeamConfig(beam=BEAM, beam_threshold=THRESHOLD, token_log_prob=None)
    folded = BeamConfig(beam=BEAM, beam_threshold=THRESHOLD, sure_blank=0.999)
    cases = {
        "acoustics alone": {
            "flashlight-text": theirs(),
            "ours, same options, batches of 32": ours(same, None, 32),
            "ours, same options, one at a time": ours(same, None, 1),
            "ours, default, batches of 32": ours(BeamConfig(), None, 32),
            "ours, sure_blank 0.999, batches of 32": ours(folded, None, 32),
            "ours, sure_blank 0.999, one at a time": ours(folded, None, 1),
            "greedy, batches of 32": greedy_texts,
        },
        "lexicon and word trigram": {
            "flashlight-text": theirs(lm, words),
            "ours, same options, batches of 32": ours(same, fusion, 32),
            "ours, same options, one at a time": ours(same, fusion, 1),
            "ours, sure_blank 0.999, batches of 32": ours(folded, fusion, 32),
        },
    }
    return {name: compare(each, log_probs, texts, repeats) for name, each in cases.items()}


def profile(log_probs: list[Tensor], lm: Path, words: list[str]) -> dict[str, float]:
    """Shares of the time of ours with the lexicon in batches of 32, functions that they call included."""
    decode = ours(BeamConfig(beam=BEAM, beam_threshold=THRESHOLD, token_log_prob=None), scorers(load(lm), words), 32)
    decode(log_probs)
    with cProfile.Profile() as profiled:
        decode(log_probs)
    seconds = {function: row[3] for (_, _, function), row in pstats.Stats(profiled).stats.items()}  # type: ignore[attr-defined]
    names = {"states of the fusion": "advance", "the beam before a frame": "_now", "prefixes that stay": "_stay"}
    names |= {"prefixes that grow": "_grow", "choosing": "_choose", "moving, with the states": "_move"}
    return {what: round(seconds[function] / seconds["feed"], 2) for what, function in names.items()}


def scorers(model: LanguageModel, words: list[str]) -> Callable[[], Fusion]:
    """Makes a fusion anew each time, for what was scored before is remembered."""

    def fusion() -> Fusion:
        each = [Lexicon(words, TOKENIZER, model, WEIGHT), WordScorer(model, TOKENIZER, WEIGHT, BONUS)]
        return Fusion(each, len(TOKENIZER))

    return fusion


def compare(decoders: dict[str, Decode | None], log_probs: list[Tensor], texts: list[str], repeats: int) -> Any:
    """Times, ratios to the first, word error rates, and how often the text is that of the first."""
    frames = sum(map(len, log_probs))
    present = {name: decode for name, decode in decoders.items() if decode is not None}
    found = {name: decode(log_probs) for name, decode in present.items()}
    spent: dict[str, list[float]] = {name: [] for name in present}
    for _ in range(repeats):
        for name, decode in present.items():
            start = time.process_time()
            decode(log_probs)
            spent[name].append(time.process_time() - start)
    first = spent.get("flashlight-text")
    result = {}
    for name, times in spent.items():
        result[name] = {"us_per_frame": round(1e6 * statistics.median(times) / frames, 1)}
        result[name]["wer"] = round(score(texts, found[name]).wer, 4)
        if first is not None and name != "flashlight-text":
            result[name]["ratio"] = round(statistics.median(a / b for a, b in zip(first, times, strict=True)), 2)
            agree = sum(a == b for a, b in zip(found[name], found["flashlight-text"], strict=True))
            result[name]["same_text"] = round(agree / len(texts), 3)
    return result


def ours(config: BeamConfig, fusion: Callable[[], Fusion] | None, size: int) -> Decode:
    """Our decoder on batches."""

    def decode(log_probs: list[Tensor]) -> list[str]:
        decoder = PrefixBeam(TOKENIZER, config, fusion() if fusion else None)
        batches = (padded(log_probs[at : at + size]) for at in range(0, len(log_probs), size))
        return [best.text for batch in batches for best, *_ in decoder.decode(*batch, FRAME_SECONDS)]

    return decode


def greedy_texts(log_probs: list[Tensor]) -> list[str]:
    batches = (padded(log_probs[at : at + 32]) for at in range(0, len(log_probs), 32))
    return [best.text for batch in batches for best in greedy(*batch, TOKENIZER, FRAME_SECONDS)]


def theirs(lm: Path | None = None, words: list[str] | None = None) -> Decode | None:
    """The decoder of flashlight-text, one utterance at a time, as its interface has it; None if it is missing."""
    try:
        from flashlight.lib.text import decoder as text
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary
    except ImportError:
        return None
    options = {"beam_size": BEAM, "beam_size_token": len(TOKENIZER), "beam_threshold": THRESHOLD, "sil_score": 0.0}
    options |= {"log_add": True, "criterion_type": text.CriterionType.CTC}
    space, blank = TOKENIZER.boundary, TOKENIZER.blank
    if lm is None or words is None:
        free = text.LexiconFreeDecoderOptions(**options, lm_weight=0.0)
        decoder: Any = text.LexiconFreeDecoder(free, text.ZeroLM(), space, blank, [])
    else:
        dictionary = Dictionary()
        for word in ("<unk>", *words):
            dictionary.add_entry(word)
        model = KenLM(str(lm), dictionary)
        trie, start = text.Trie(len(TOKENIZER), space), model.start(False)
        for word in words:
            index = dictionary.get_index(word)
            trie.insert([*TOKENIZER.encode(word), space], index, model.score(start, index)[1])
        trie.smear(text.SmearingMode.MAX)
        weights = {"lm_weight": WEIGHT * LN_10, "word_score": BONUS, "unk_score": -float("inf")}
        limited = text.LexiconDecoderOptions(**options, **weights)
        decoder = text.LexiconDecoder(limited, trie, model, space, blank, dictionary.get_index("<unk>"), [], False)

    def decode(log_probs: list[Tensor]) -> list[str]:
        return [said(decoder.decode(each.data_ptr(), *each.shape)) for each in log_probs]

    def said(results: Any) -> str:
        if not results:
            return ""
        if words is not None:
            return " ".join(dictionary.get_entry(word) for word in results[0].words if word >= 0)
        path = [token for token in results[0].tokens if token >= 0]
        kept = [token for at, token in enumerate(path) if token != blank and (at == 0 or token != path[at - 1])]
        return TOKENIZER.decode(kept)

    return decode


def padded(log_probs: list[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(each) for each in log_probs])
    return torch.nn.utils.rnn.pad_sequence(log_probs, batch_first=True), lengths


def read_table(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
