"""Weights of a language model from a development set that is heard once and decoded many times.

    score(Y | X) = ln P_CTC(Y | X) + alpha ln P_LM(Y) + beta |Y|

alpha and beta are those with the fewest word errors over the development set, clean and in noise together.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.manifests import read as manifests
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.decoding.attention.search import Begin
from noisewise.decoding.config import DecodingConfig, build, build_attention
from noisewise.decoding.recording_decoder import Search, best, gather
from noisewise.errors import EvaluationError
from noisewise.evaluation.systems.protocol import Waveform
from noisewise.evaluation.test_set import Speech
from noisewise.inference import language_model
from noisewise.inference.recogniser import Recogniser
from noisewise.lm.protocol import LanguageModel
from noisewise.scoring.words import score
from noisewise.text.normalise import normalise
from noisewise.text.tokenizer import Tokenizer

WEIGHTS, REPAID = (0.0, 1.5), (0.0, 8.0)
"""Where alpha and beta / alpha are looked for: beta repays what a word costs, and ln P_LM of a word is -1 to -8."""
BATCH_SECONDS = 60.0


@dataclass(frozen=True)
class HeardTexts:
    """What a model hears in each recording, and what was said."""

    tokenizer: Tokenizer
    references: list[str] = field(default_factory=list)
    log_probs: list[Tensor] = field(default_factory=list)
    """(F, V) each"""
    frames: list[Tensor] = field(default_factory=list)
    """What an attention decoder looks at, if one takes part. (F, E) each"""
    frame_seconds: float = 0.04
    """Time between two frames."""

    def decode(
        self,
        config: DecodingConfig | None,
        model: LanguageModel | None = None,
        hotwords: Iterable[str] = (),
        begin: Begin | None = None,
    ) -> list[str]:
        """The texts under a configuration; greedy without one.

        Args:
            config: of the search.
            model: a language model that is loaded already.
            hotwords: to listen for.
            begin: makes the step function of the decoder, where attention takes part.

        Raises:
            EvaluationError: attention takes part, but there is no decoder, or nothing that it could look at.
        """
        search: Search | None = None
        attends = config is not None and config.attention is not None
        if attends and (begin is None or len(self.frames) != len(self.log_probs)):
            raise EvaluationError("`attention` must be left out for a model without an attention decoder, but is given")
        if config is not None and attends and begin is not None:
            search = build_attention(config, self.tokenizer, begin, hotwords, model, load=language_model.load)
        elif config is not None:
            search = build(config, self.tokenizer, hotwords, model, load=language_model.load)
        order = sorted(range(len(self.log_probs)), key=lambda at: len(self.log_probs[at]))
        texts = [""] * len(order)
        for together in gather(order, lambda at: len(self.log_probs[at])):
            seen = [self.frames[at] for at in together] if attends else []
            found = best([self.log_probs[at] for at in together], self.tokenizer, self.frame_seconds, search, seen)
            for at, hypothesis in zip(together, found, strict=True):
                texts[at] = hypothesis.text
        return texts

    def wer(self, config: DecodingConfig | None, model: LanguageModel | None = None) -> float:
        """Word error rate under a configuration; greedy without one."""
        return score(self.references, self.decode(config, model)).wer


@dataclass(frozen=True)
class Trial:
    """One try."""

    lm_weight: float
    bonus: float
    wer: float


def must_not_be_test(manifest: str) -> None:
    """Refuse a manifest whose name, or whose column `split`, says that it is for testing.

    Raises:
        EvaluationError: it is.
    """
    path, _, kept = manifest.partition("#")
    named = [path.rstrip("/").rpartition("/")[2], *re.findall(r"split=([^&]*)", kept)]
    splits = {manifests.column(cut, "split") or "" for cut in manifests.read(manifest)}
    said = [name for name in [*named, *sorted(splits)] if re.search(r"(?<![a-z])(test|eval)(?![a-z])", name.lower())]
    if said:
        raise EvaluationError(
            f"`{manifest}` must be a development set, but is named '{said[0]}': a test set that chose the weights "
            "measures nothing; take other recordings, or --force"
        )


def hear(
    recogniser: Recogniser,
    manifest: str,
    noise: str | None = None,
    snrs_db: Sequence[float] = (),
    *,
    types: Sequence[str] | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> HeardTexts:
    """Put a development set through the model: clean, and at each ratio with the types of noise in turn.

    Args:
        recogniser: the model; its decoding plays no part.
        manifest: speech with texts.
        noise: manifest of noise with labels; clean only when left out.
        snrs_db: signal-to-noise ratios.
        types: of noise; all in the manifest when left out.
        seed: of the noise.
        limit: take so many utterances, evenly spaced.

    Raises:
        EvaluationError: no utterance is left.
        DataError: a manifest cannot be used.
    """
    speech = Speech.read(manifest, limit)
    pool = NoisePool.load(NoiseConfig(manifest=noise, types=list(types) if types else None), seed) if noise else None
    return heard(recogniser, list(_mixtures(speech, pool, snrs_db)))


def heard(recogniser: Recogniser, sources: "Sequence[tuple[str, Callable[[], Waveform]]]") -> HeardTexts:
    """Put recordings through the model.

    Args:
        recogniser: the model.
        sources: what was said, and how to come by the waveform (T,).
    """
    found = HeardTexts(recogniser.tokenizer, frame_seconds=recogniser.model.hop / SAMPLE_RATE)
    for at in range(0, len(sources), 32):
        waveforms = [waveform() for _, waveform in sources[at : at + 32]]
        outputs = dict(recogniser.posteriors(waveforms, batch_seconds=BATCH_SECONDS))
        for position, (text, _) in enumerate(sources[at : at + 32]):
            if outputs[position].error is None:
                found.references.append(normalise(text))
                found.log_probs.append(outputs[position].log_probs)
                if (frames := outputs[position].frames) is not None:
                    found.frames.append(frames)
    if not any(found.references):
        raise EvaluationError("the development set must hold a word that was said, but holds none; add transcripts")
    return found


def _mixtures(
    speech: Speech, pool: NoisePool | None, snrs_db: Sequence[float]
) -> Iterator[tuple[str, Callable[[], Waveform]]]:
    def clean(name: str) -> Callable[[], Waveform]:
        return lambda: speech.waveform(name)

    def noisy(name: str, number: int, snr_db: float, pool: NoisePool) -> Callable[[], Waveform]:
        kind = pool.types[number % len(pool.types)]
        return lambda: pool.at(name, kind, snr_db, speech.waveform(name))[0]

    for number, one in enumerate(speech.utterances):
        yield one.text, clean(one.id)
        if pool is not None:
            for step, snr_db in enumerate(snrs_db):
                yield one.text, noisy(one.id, number + step, snr_db, pool)


def tune(
    heard: HeardTexts,
    config: DecodingConfig,
    *,
    trials: int = 30,
    seed: int = 0,
    progress: Callable[[Trial], None] | None = None,
    done: Sequence[Trial] = (),
) -> tuple[DecodingConfig, list[Trial]]:
    """The configuration with the best weight and bonus, and all that was tried.

    The first try is the configuration as it is; half of the rest is drawn anywhere, the others ever nearer to the best.

    Args:
        heard: the development set.
        config: with a language model; everything but its weight and bonus stays.
        trials: tries.
        seed: of the draws.
        progress: called after each that is new.
        done: the first tries of the same tuning, if it was interrupted.

    Raises:
        EvaluationError: there is no language model, or no try.
    """
    if not config.lm or trials < 1:
        raise EvaluationError(
            f"`trials` must be at least 1 and there must be a language model, but are {trials}, {config.lm}"
        )
    model = language_model.load(config.lm, config.lm_backend) if config.lm_backend != "flashlight" else None
    random, tried = np.random.Generator(np.random.Philox(seed)), list[Trial]()
    for number in range(trials):
        weight, bonus = (config.lm_weight, config.bonus) if number == 0 else _draw(random, tried, number / trials)
        if number < len(done) and (done[number].lm_weight, done[number].bonus) == (weight, bonus):
            tried.append(done[number])
            continue
        wer = heard.wer(replace(config, lm_weight=weight, bonus=bonus), model)
        tried.append(Trial(weight, bonus, wer))
        if progress is not None:
            progress(tried[-1])
    found = _best(tried)
    return replace(config, lm_weight=found.lm_weight, bonus=found.bonus), tried


def _best(tried: list[Trial]) -> Trial:
    """The fewest errors; among equals the smallest weight, which leans least on the text."""
    return min(tried, key=lambda trial: (trial.wer, trial.lm_weight, abs(trial.bonus)))


def _draw(random: np.random.Generator, tried: list[Trial], done: float) -> tuple[float, float]:
    """A weight and a bonus, to two decimals."""
    if done < 0.5:
        weight, repaid = random.uniform(*WEIGHTS), random.uniform(*REPAID)
    else:
        around, width = _best(tried), 0.25 * (1.0 - done)
        weight = around.lm_weight + width * (WEIGHTS[1] - WEIGHTS[0]) * random.standard_normal()
        repaid = around.bonus / max(around.lm_weight, 0.01) + width * (REPAID[1] - REPAID[0]) * random.standard_normal()
    weight = float(np.clip(weight, *WEIGHTS))
    return round(weight, 2), round(weight * float(np.clip(repaid, *REPAID)), 2)
