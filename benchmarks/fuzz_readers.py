"""Readers of stored files under mutated input: what ends in anything but an error of the package.

    python benchmarks/fuzz_readers.py [--target NAME ...] [--inputs 100] [--seconds 600] [--seed 0] [--keep FOLDER]

The project writes a valid file for each target. A mutation flips bits, cuts, repeats or removes bytes, or (of JSON, and
of the JSON inside gzip) puts a hostile value in the place of one that is there. A fault is an exception that is no
`NoisewiseError`, more than 5 s of processor time (a watchdog ends what reads for longer), or more than 1 GiB of memory
more than before. All inputs are read in one process, and the folder is made anew only where a reader has written into
it, so that an input takes about as long as its reader. The result is the number of inputs and of faults of each target,
and the place of each fault with the seed that repeats it.
"""

import argparse
import copy
import gzip
import json
import platform
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from noisewise import __version__, config
from noisewise.checkpoints import model_folder
from noisewise.checkpoints.foreign import unpickle
from noisewise.data.corpora import shards
from noisewise.data.corpora.preparation import write_cuts
from noisewise.data.embeddings.store import EmbeddingFacts, EmbeddingStore
from noisewise.data.embeddings.writer import EmbeddingWriter
from noisewise.data.manifests.cuts import load_audio
from noisewise.data.manifests.read import read
from noisewise.data.noise import noisy_sets
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.decoding.config import DecodingConfig, build
from noisewise.errors import NoisewiseError
from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.resume import Partial
from noisewise.evaluation.systems.cache import TranscriptCache
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise
from noisewise.lm.ngram import NGram
from noisewise.models.ctc import CTCConfig
from noisewise.models.logmel_transformer import LogMelTransformerConfig
from noisewise.recipe import Recipe
from noisewise.reports.comparison import compare
from noisewise.reports.tables import latex, markdown
from noisewise.text.subword import SubwordTokenizer
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.training import checkpoint

MOST_SECONDS, MOST_BYTES = 5.0, 2**30
HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 10**30, 0.5, 1e300, float("inf"), float("nan"), "", "x", "\udcff", "\0", "../..", "²",
    "9" * 5000, "A" * 5000, [], {}, [[]], [None], {"": {}}, [1] * 1000,
)  # fmt: skip
ARPA = "\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1\t<s>\t-0.3\n-1\t</s>\n-0.6\tYES\t-0.2\n-0.6\tNO\n\n\\2-grams:\n-0.2\t<s> YES\n-0.3\tYES </s>\n\n\\end\\\n"  # noqa: E501
OVERRIDES = "run.steps=20\ntrain.workers=0\ntrain.noise={manifest: n, snr_db: [0, 5]}\nrun.release_at=[1, 2]\n"
RECIPE = "train: {manifests: [a]}\nvalidation: {manifests: [b]}\nrun: {steps: 10}\n"


@dataclass(frozen=True)
class Target:
    """A reader and what it reads."""

    make: Callable[[Path], None]
    """Write the valid files into an empty folder."""
    read: Callable[[Path], object]
    """Read them, and use what is read."""
    mutated: str
    """Pattern of the files that are mutated."""


@dataclass
class Outcome:
    """What became of the inputs of a target."""

    inputs: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """Kind and place of a fault to how often it was met."""
    seeds: dict[str, int] = field(default_factory=dict)
    """The same to the seed of the first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--inputs", type=int, default=100, help="of each target")
    parser.add_argument("--seconds", type=float, default=600, help="of all targets, which share them alike")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the inputs of faults, one of each place")
    parser.add_argument("--output", type=Path, default=Path("results/robustness/fuzz_readers.json"))
    options = parser.parse_args()
    share = options.seconds / len(options.target)
    found = {name: fuzz(name, options.inputs, share, options.seed, options.keep) for name in options.target}
    print(table(found))
    result = {
        "command": f"python benchmarks/fuzz_readers.py --inputs {options.inputs} --seconds {options.seconds:g} "
        f"--seed {options.seed}",
        "what": "inputs, refusals and faults of each reader",
        "inputs": sum(one.inputs for one in found.values()),
        "faults": sum(one.faults.total() for one in found.values()),
        "targets": {name: vars(one) for name, one in found.items()},
        "versions": {"noisewise": __version__, "python": platform.python_version()},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def table(found: dict[str, Outcome]) -> str:
    """Markdown of the numbers of each target, and a line for each place of a fault."""
    lines = ["| target | inputs | refused | faults |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {one.inputs} | {one.refused} | {one.faults.total()} |" for name, one in found.items()]
    places = [
        f"{count} {name} (seed {one.seeds[fault]}): {fault}"
        for name, one in found.items()
        for fault, count in one.faults.most_common()
    ]
    return "\n".join([*lines, "", *places])


def fuzz(name: str, inputs: int, seconds: float, seed: int, keep: Path | None = None) -> Outcome:
    """Read mutations of the valid files of a target.

    Args:
        name: target.
        inputs: number of mutations.
        seconds: time after which no further one is begun.
        seed: of the first mutation; each further one has the next.
        keep: folder for one input of each fault.
    """
    target, outcome = TARGETS[name], Outcome()
    with tempfile.TemporaryDirectory() as made:
        valid, folder = Path(made, "valid"), Path(made, "input")
        valid.mkdir()
        target.make(valid)
        target.read(valid)
        end, before = time.monotonic() + seconds, _listed(valid)
        originals = sorted(path.relative_to(valid) for path in valid.glob(target.mutated))
        for number in range(seed, seed + inputs):
            if time.monotonic() > end:
                break
            if _listed(folder) != before:
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(valid, folder)
            draws = random.Random(f"{name} {number}")
            file = draws.choice(originals)
            (folder / file).write_bytes(mutated((valid / file).read_bytes(), draws))
            outcome.inputs += 1
            fault = _fault(target, folder, outcome)
            if fault is not None:
                outcome.faults[fault] += 1
                if outcome.seeds.setdefault(fault, number) == number and keep is not None:
                    shutil.copytree(folder, keep / f"{name}-{number}", dirs_exist_ok=True)
                    (keep / f"{name}-{number}" / "why.txt").write_text(f"{fault}\n", encoding="utf-8")
            shutil.copy2(valid / file, folder / file)
    return outcome


def _listed(folder: Path) -> dict[str, tuple[int, int]]:
    """Files under a folder, with their sizes and times of change."""
    found = {path: path.stat() for path in folder.rglob("*")} if folder.is_dir() else {}
    return {
        path.relative_to(folder).as_posix(): (0, 0) if path.is_dir() else (facts.st_size, facts.st_mtime_ns)
        for path, facts in found.items()
    }


class TooLong(BaseException):
    """A reader has used its processor time."""


@contextmanager
def _watchdog() -> Iterator[None]:
    """Raise `TooLong` in what uses more than `MOST_SECONDS` of processor time, again and again until it ends.

    Code that does not come back to the interpreter cannot be ended so; it is told by its time.
    """

    def end(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _fault(target: Target, folder: Path, outcome: Outcome) -> str | None:
    """What went wrong as an input was read; None for nothing."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        with _watchdog():
            target.read(folder)
    except NoisewiseError:
        outcome.refused += 1
    except TooLong:
        return "time"
    except Exception as error:  # whatever it is, it is what is looked for
        frames = [one for one in traceback.extract_tb(error.__traceback__) if "/noisewise/" in one.filename]
        place = f"{frames[-1].filename.rpartition('/noisewise/')[2]}:{frames[-1].lineno}" if frames else "?"
        return f"{type(error).__name__} at {place}: {' '.join(str(error).split())[:100]}"
    if time.process_time() - began > MOST_SECONDS:
        return "time"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return "memory" if grown * 1024 > MOST_BYTES else None


def mutated(content: bytes, draws: random.Random) -> bytes:
    """Bytes like those of a valid file, but for something."""
    if content[:2] == b"\x1f\x8b" and draws.random() < 0.8:
        return gzip.compress(mutated(gzip.decompress(content), draws), 1)
    if draws.random() < 0.7 and (found := _hostile(content, draws)) is not None:
        return found
    first = draws.randrange(len(content) + 1)
    last = min(len(content), first + draws.choice((1, 2, 8, 100)))
    match draws.randrange(5):
        case 0:
            changed = bytearray(content)
            for _ in range(draws.choice((1, 3, 20))):
                changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
            return bytes(changed)
        case 1:
            return content[:first]
        case 2:
            return content[:first] + content[last:]
        case 3:
            return content[:last] + content[first:]
        case _:
            put = draws.choice((b"\xff", b"\0", b"\n", b"[" * 5000, b"9" * 5000, b"-", b"e999", "²".encode(), b"{}"))
            return content[:first] + put + content[last:]


def _hostile(content: bytes, draws: random.Random) -> bytes | None:
    """A JSON text, or a line of JSON lines, with another value in one place; None for what is none."""
    for lines in ([content], content.splitlines()):
        number = draws.randrange(len(lines)) if lines else 0
        try:
            values = json.loads(lines[number])
        except (ValueError, IndexError):
            continue
        places = list(_places(values, None, None))
        inside, key = draws.choice(places)
        hostile = copy.deepcopy(draws.choice(HOSTILE))
        if inside is None:
            values = hostile
        elif draws.random() < 0.2:
            del inside[key]
        else:
            inside[key] = hostile
        return b"\n".join([*lines[:number], json.dumps(values).encode(), *lines[number + 1 :]])
    return None


def _places(values: Any, inside: Any, key: Any) -> Iterator[tuple[Any, Any]]:
    yield inside, key
    below = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for name, value in below:
        yield from _places(value, values, name)


def _speech(folder: Path, names: tuple[str, ...] = ("a", "b")) -> None:
    """A folder of recordings with their table."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        wave = 0.1 * np.random.default_rng(number).standard_normal(1600)
        soundfile.write(folder / f"{name}.wav", wave, 16_000)
    rows = "".join(f"{name}.wav\t0.1\tYES\t{name}\n" for name in names)
    (folder / "manifest.tsv").write_text(f"path\tduration_seconds\ttext\tlabel\n{rows}", encoding="utf-8")


def _load(source: str | Path) -> None:
    """Read a manifest and all of its recordings."""
    for cut in read(source):
        try:
            load_audio(cut)
        except NoisewiseError:
            continue


def _grid() -> GridResult:
    utterances = [Utterance("u0", "s", "A B", 1.0), Utterance("u1", "t", "C", 1.5)]
    conditions = (CLEAN, in_noise("car", 0), in_noise("car", 5), in_noise("cafe", 0), in_noise("cafe", 5))
    cells = [TextCell(one, ["A", "C"], {}, 0, one.key) for one in conditions]
    return summarise(utterances, cells, GridConfig(manifest="an4", bootstrap_samples=20))


def _read_grid(folder: Path) -> None:
    found = GridResult.load(folder / "grid.json")
    (markdown([found]) + latex([found])).encode()
    compare([found, found], ["a", "b"], samples=20)
    found.save(folder / "again.json")


def _make_ledger(folder: Path) -> None:
    _speech(folder / "speech")
    _speech(folder / "noise", ("cafe", "car"))
    pool = NoisePool.load(NoiseConfig(manifest=str(folder / "noise")), 0)
    noisy_sets.write(read(folder / "speech"), pool, folder / "mixed", snrs_db=[5.0])


def _read_ledger(folder: Path) -> None:
    _, entries = noisy_sets.read(folder / "mixed")
    noisy_sets.verify(folder / "mixed", entries)
    speech, noise = read(folder / "speech"), read(folder / "noise")
    noisy_sets.rebuild(folder / "mixed", speech, noise, folder / "again")


def _make_cuts(folder: Path) -> None:
    _speech(folder)
    write_cuts(folder / "cuts.jsonl.gz", read(folder))


def _make_shards(folder: Path) -> None:
    _speech(folder / "speech")
    shards.prepare(folder / "speech", folder / "packed", workers=1)


def _make_tokens(folder: Path) -> None:
    CharacterTokenizer().save(folder / "tokens.txt")
    symbols = ["<blank>", "<unk>", "|", "A", "B", "AB"]
    SubwordTokenizer(symbols, [("A", "B")]).save(folder / "tokens.json")


def _read_tokens(folder: Path) -> None:
    for kind in (CharacterTokenizer, SubwordTokenizer):
        tokenizer = kind.load(folder / kind.FILE)
        tokenizer.decode(tokenizer.encode("AB BA"))
        tokenizer.save(folder / "again")


def _make_partial(folder: Path) -> None:
    partial = Partial(folder / "partial", {"seed": 0}, TextCell)
    for snr_db in (0.0, 5.0):
        partial.add(TextCell(in_noise("car", snr_db), ["A", "B"], {"u1": "slow"}, 0, "m"))


def _make_model(folder: Path) -> None:
    chosen = CTCConfig(encoder=LogMelTransformerConfig(dim=16, layers=1, heads=2, feed_forward=16))
    model_folder.save(folder / "model", chosen.build(), chosen, CharacterTokenizer(), card="")


def _make_store(folder: Path) -> None:
    facts = EmbeddingFacts(encoder="box", dim=3, sample_rate=16_000, level="frames", pooling="none")
    EmbeddingWriter(folder / "store", facts).add([("a", torch.ones(2, 3)), ("b", torch.ones(3, 3))])


def _read_store(folder: Path) -> None:
    store = EmbeddingStore(folder / "store")
    if names := list(store):
        store.gather(names)


def _writes(name: str, text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).write_text(text, encoding="utf-8")

    return make


def _read_lexicon(folder: Path) -> None:
    build(DecodingConfig(lexicon=str(folder / "words.txt")), CharacterTokenizer())


def _make_overrides(folder: Path) -> None:
    (folder / "r.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "words.txt").write_text(OVERRIDES, encoding="utf-8")


def _read_overrides(folder: Path) -> None:
    words = (folder / "words.txt").read_bytes().decode(errors="surrogateescape").split("\n")
    config.dump_yaml(config.load(Recipe, folder / "r.yaml", [word for word in words if word]))


def _trained() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    module = torch.nn.Linear(3, 2)
    groups = [{"params": [parameter], "scale": 1.0} for parameter in module.parameters()]
    optimizer = torch.optim.AdamW(groups)
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return module, optimizer


def _make_checkpoint(folder: Path) -> None:
    module, optimizer = _trained()
    unfinished = checkpoint.unfinished(folder, 1)
    checkpoint.write_random(unfinished, 0)
    state = checkpoint.State(step=1, metrics={"wer": 0.5}, recipe={"run": {"steps": 2}}, version=__version__)
    checkpoint.write(unfinished, module.state_dict(), module.state_dict(), optimizer.state_dict(), state)
    (checkpoint.finish(unfinished, folder, 1) / checkpoint.MANIFEST).unlink()  # whose hashes would refuse everything


def _read_checkpoint(folder: Path) -> None:
    place = checkpoint.folder_of(folder, 1)
    checkpoint.must_fit(checkpoint.read(place, averaged=True), *_trained(), place)


def _make_pt(folder: Path, archive: bool = True) -> None:
    content = {"model": {"a": torch.ones(2, 3), "b": torch.zeros(4).half()}, "cfg": {"steps": [1, 2.5, None, "x"]}}
    torch.save(content, folder / "a.pt", _use_new_zipfile_serialization=archive)


def _make_legacy_pt(folder: Path) -> None:
    _make_pt(folder, archive=False)


def _make_cache(folder: Path) -> None:
    TranscriptCache(folder / "cache.jsonl", "key").add([("a", "YES"), ("b", "NO")])


TARGETS = {
    "grid": Target(lambda folder: _grid().save(folder / "grid.json"), _read_grid, "grid.json"),
    "ledger": Target(_make_ledger, _read_ledger, "mixed/ledger.jsonl"),
    "cuts": Target(_make_cuts, lambda folder: _load(folder / "cuts.jsonl.gz"), "cuts.jsonl.gz"),
    "table": Target(_speech, _load, "manifest.tsv"),
    "tokens": Target(_make_tokens, _read_tokens, "tokens.*"),
    "cache": Target(_make_cache, lambda folder: TranscriptCache(folder / "cache.jsonl", "key"), "cache.jsonl"),
    "partial": Target(_make_partial, lambda folder: Partial(folder / "partial", {"seed": 0}, TextCell), "partial"),
    "recipe": Target(
        _writes("r.yaml", RECIPE), lambda folder: config.dump_yaml(config.load(Recipe, folder / "r.yaml")), "r.yaml"
    ),
    "arpa": Target(_writes("a.arpa", ARPA), lambda folder: NGram.load(folder / "a.arpa"), "a.arpa"),
    "lexicon": Target(_writes("words.txt", "YES\nNO\n"), _read_lexicon, "words.txt"),
    "audio": Target(_speech, _load, "*.wav"),
    "overrides": Target(_make_overrides, _read_overrides, "words.txt"),
    "checkpoint": Target(_make_checkpoint, _read_checkpoint, "checkpoints/*/*"),
    ".pt": Target(_make_pt, lambda folder: unpickle.plain(unpickle.load(folder / "a.pt")), "a.pt"),
    "legacy .pt": Target(_make_legacy_pt, lambda folder: unpickle.plain(unpickle.load(folder / "a.pt")), "a.pt"),
    "safetensors": Target(
        _make_model, lambda folder: model_folder.load_stored(folder / "model"), "model/model.safetensors"
    ),
    "config.json": Target(_make_model, lambda folder: model_folder.load_config(folder / "model"), "model/config.json"),
    "shards": Target(_make_shards, lambda folder: _load(f"shar:{folder / 'packed'}"), "packed/[cr]*.[jt]*"),
    "store": Target(_make_store, _read_store, "store/*.[js]*"),
}


if __name__ == "__main__":
    main()
