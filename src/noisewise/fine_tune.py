"""Fine-tuning on a corpus of one's own: a short recipe (`kind: fine_tune`), made whole from the corpus and the model.

| value | where a recipe does not give it |
| --- | --- |
| `validation` | a share of `train`, by speaker: a tenth, less above five hours; single entries of too few speakers |
| `model` | that of `start_from`; a CTC head over an encoder alone, or over that of a Whisper that lacks letters |
| `tokenizer` | that of `start_from` where it has all but 0.1 % of the letters of the text; else those of the text |
| `run.steps` | `epochs` times over the corpus, but `least_steps` to `most_steps` |
| `optimizer.lr` | 1e-4, of a Whisper 5e-5; 3e-4 where the head is new, which learns alone for a tenth of the steps |
| `schedule` | tri_stage: a tenth of the steps of warm-up |
| `train.max_seconds` | 29 for a Whisper or its encoder, which take 30 |

A Whisper stays one, decoder and all, where its head has the letters of the text; a public one,
which has no head, gets one for English. Where letters are lacking, ten minutes of speech teach a new CTC head over its
encoder, but no decoder another alphabet.

All fields of a recipe may stand beside these, and win. Noise is added only where `train.noise` names some.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from noisewise.checkpoints import foreign, model_folder
from noisewise.config import above, config, dump, load, parse, within
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.manifests.cuts import Cut, text_of
from noisewise.data.manifests.read import BY_ENTRY, HELD_OUT, is_held_out, read, source_of
from noisewise.errors import ConfigError, DataError
from noisewise.models import AcousticConfig
from noisewise.models.ctc import CTCConfig
from noisewise.models.whisper.whisper import WhisperConfig
from noisewise.recipe import Recipe
from noisewise.run import tokenizer_of
from noisewise.text.normalise import choose, fitting, letters_of
from noisewise.text.subword import LETTERS, SubwordTokenizer

logger = logging.getLogger(__name__)

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Shares of a corpus that may be held out for validation."""
MOST_HELD_OUT = 0.4
"""Greatest share of the audio that is held out, when few speakers have much of it."""
LACKING = 0.001
"""Greatest share of the letters of a text that a model's vocabulary may lack and be kept."""
TASKS = {"ctc": "ctc", "wav2code": "wav2code", "encoder_decoder": "joint", "whisper": "whisper"}
"""Kind of a model to that of its task."""
LEARNING_RATES = {"whisper": 5e-5}
"""Learning rates of kinds of models, where they are not those of the others."""
WHISPER_SECONDS = 29.0
"""Longest recordings from which a Whisper learns."""
PUBLIC_WHISPER: dict[str, Any] = {"vocabulary": None, "pad_seconds": 0.0}
"""What is another in a public Whisper that learns: it gets a head, and utterances are as long as they last."""


@config
class FineTuneConfig:
    """What a recipe of fine-tuning has beside the fields of a recipe."""

    kind: Literal["fine_tune"] = "fine_tune"
    start_from: str = "box"
    """Model to begin with: `box`, a model folder, or a checkpoint of transformers or fairseq."""
    held_out: float | None = None
    """Share of the corpus that is held out for validation; null: see the head of this file."""
    epochs: float = 20.0
    """Times that the whole corpus is learned from, between `least_steps` and `most_steps`."""
    least_steps: int = 300
    """Least number of steps, for a corpus of minutes."""
    most_steps: int = 20_000
    """Greatest number of steps, for a corpus of a hundred hours."""

    def __post_init__(self) -> None:
        if self.held_out is not None:
            within(0.001, 0.5, held_out=self.held_out)
        above(0, epochs=self.epochs)
        within(1, self.most_steps, least_steps=self.least_steps)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, also one of fine-tuning, which is made whole.

    Raises:
        ConfigError: the file does not hold a recipe.
        NoisewiseError: corpus or model of fine-tuning cannot be used.
    """
    values: dict[str, Any] = load(dict, path, overrides)
    return whole(values) if values.get("kind") == "fine_tune" else parse(Recipe, values)


def whole(values: dict[str, Any]) -> Recipe:
    """The recipe of plain values of fine-tuning.

    Raises:
        ConfigError: they do not fit.
        NoisewiseError: corpus or model cannot be used.
    """
    names = set(FineTuneConfig.__dataclass_fields__)
    chosen = parse(FineTuneConfig, {name: value for name, value in values.items() if name in names})
    given = {name: value for name, value in values.items() if name not in names}
    train = parse(DataConfig, given.get("train") or {})
    corpus = {source: read(source) for source in train.manifests}
    found: dict[str, Any] = {"start_from": chosen.start_from, "model": _model(chosen.start_from)}
    if found["model"]["encoder"]["kind"] == "whisper":
        given["train"] = {"max_seconds": WHISPER_SECONDS, **(given.get("train") or {})}
    if "validation" not in given:
        share = split(corpus, chosen.held_out)
        logger.info("validation: #%s=%s of the corpus", HELD_OUT, share)
        held = {source: [cut for cut in cuts if is_held_out(cut, share)] for source, cuts in corpus.items()}
        corpus = {source: [cut for cut in cuts if not is_held_out(cut, share)] for source, cuts in corpus.items()}
        given["train"] = {
            **given["train"],
            "manifests": [_filtered(each, f"{HELD_OUT}!", share) for each in corpus if corpus[each]],
        }
        found["validation"] = {
            **{
                name: value for name, value in given["train"].items() if name in ("noise", "min_seconds", "max_seconds")
            },
            "manifests": [_filtered(each, HELD_OUT, share) for each in held if held[each]],
            "batch_seconds": train.batch_seconds,
            "workers": 0,
        }
    cuts = [cut for each in corpus.values() for cut in each]
    tokenizer, is_new = _tokenizer(chosen.start_from, [text_of(cut) or "" for cut in cuts])
    seconds = sum(cut.duration for cut in cuts)
    steps = max(chosen.least_steps, min(chosen.most_steps, round(chosen.epochs * seconds / train.batch_seconds)))
    steps = int((given.get("run") or {}).get("steps", steps))
    logger.info("%.2f hours: %d steps; %s head", seconds / 3600, steps, "a new" if is_new else "the model's own")
    found["tokenizer"] = tokenizer
    if is_new and found["model"]["kind"] == "whisper" and not _gets_a_head(chosen.start_from, tokenizer):
        found["model"] = {**dump(CTCConfig()), "encoder": found["model"]["encoder"], "vocabulary": None}
    found["task"] = {"kind": TASKS[found["model"]["kind"]]} | ({"frozen_start": steps // 10} if is_new else {})
    found["optimizer"] = {"lr": LEARNING_RATES.get(found["model"]["kind"], 3e-4 if is_new else 1e-4)}
    found["schedule"] = {"kind": "tri_stage"}
    often = max(1, steps // 10)
    found["run"] = {
        "steps": steps,
        "validate_every": often,
        "save_every": often,
        "log_every": max(1, min(20, steps // 50)),
    }
    return parse(Recipe, _merged(found, given))


def _gets_a_head(start_from: str, tokenizer: dict[str, Any]) -> bool:
    """Whether a Whisper that has no head, as public ones, stays whole and gets one: for English."""
    return tokenizer["letters"] == "english" and tokenizer_of(start_from) is None


def split(corpus: dict[str, list[Cut]], share: float | None = None) -> str:
    """The value of `#held_out=` that holds a part of a corpus out: by speaker, or by entry where there are too few.

    Args:
        corpus: entries of each manifest.
        share: wanted; a tenth, but half an hour where that is less, when left out.

    Raises:
        DataError: there are too few recordings.
    """
    cuts = [cut for each in corpus.values() for cut in each]
    seconds = sum(cut.duration for cut in cuts)
    least = share or min(0.1, max(SHARES[0], 1800 / max(seconds, 1.0)))
    for by in ("", BY_ENTRY) if len({source_of(cut) for cut in cuts}) > 1 else (BY_ENTRY,):
        for tried in (least, *(each for each in SHARES if each > least)):
            held = sum(cut.duration for cut in cuts if is_held_out(cut, f"{tried:.3g}{by}"))
            if 0 < held <= MOST_HELD_OUT * seconds:
                return f"{tried:.3g}{by}"
    raise DataError(
        f"`train.manifests` must hold enough recordings to hold some out, but hold {len(cuts)}; add recordings, or "
        "name `validation.manifests`"
    )


def _filtered(source: str, name: str, share: str) -> str:
    return f"{source}{'&' if '#' in source else '#'}{name}={share}"


def _model(start_from: str) -> dict[str, Any]:
    """Plain values of the model that goes on from another."""
    located = model_folder.locate(start_from)
    if located.is_foreign:
        checkpoint = foreign.read(located.path)
        if whisper := checkpoint.whisper_config():
            return {**dump(whisper), **PUBLIC_WHISPER}
        dropout = 0.1 if checkpoint.head is None else checkpoint.head.dropout
        return {**dump(CTCConfig(encoder=checkpoint.config, dropout=dropout)), "vocabulary": None}
    stored = model_folder.load_stored(located.path).config
    if isinstance(stored, AcousticConfig):
        is_public = isinstance(stored, WhisperConfig) and stored.vocabulary == 0
        return {**dump(stored), "vocabulary": None, **(PUBLIC_WHISPER if is_public else {})}
    if not hasattr(stored, "encoder") or stored.kind.startswith("cat"):
        raise ConfigError(
            f"`start_from` must be a recogniser or an encoder of speech, but {start_from} is of kind {stored.kind}; "
            "choose another"
        )
    return {**dump(CTCConfig(encoder=stored.encoder)), "vocabulary": None}


def _tokenizer(start_from: str, texts: Iterable[str]) -> tuple[dict[str, Any], bool]:
    """Plain values of the tokenizer: the model's where it can spell the texts; and whether its head is new."""
    texts = list(texts)
    unicode = choose("unicode")
    letters = {each: count for each, count in letters_of(map(unicode, texts)).items() if each.isalpha()}
    own = tokenizer_of(start_from)
    if own is not None:
        fit = fitting(own.symbols)
        lacking = sum(
            count for text in texts for each, count in (fit.lost(text) + fit.respelled(text)).items() if each.isalpha()
        )
        if lacking <= LACKING * sum(letters.values()):
            of_subwords = isinstance(own, SubwordTokenizer)
            kept = {"kind": "bpe", "size": len(own), "source": start_from} if of_subwords else {"letters": "model"}
            return {"kind": "characters", **kept}, False
        logger.info("%s lacks %d letters of the transcripts: letters come from the transcripts", start_from, lacking)
    return {"kind": "characters", "letters": "english" if set(letters) <= set(LETTERS) else "text"}, True


def _merged(found: Any, given: Any) -> Any:
    """Plain values with those that are given in their place; another kind replaces all."""
    if not isinstance(found, dict) or not isinstance(given, dict):
        return given
    if given.get("kind", found.get("kind")) != found.get("kind"):
        return given
    return {**found, **{name: _merged(found.get(name), value) for name, value in given.items()}}
