"""Log-probabilities of a development set, which the model computes once and decoders search many times."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.manifests import read as manifests
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.decoding.attention.search import Begin
from noisewise.decoding.config import DecodingConfig, build, build_attention
from noisewise.decoding.recording_decoder import Search, batches_of, best
from noisewise.errors import EvaluationError
from noisewise.evaluation.systems.protocol import Waveform
from noisewise.evaluation.test_set import Speech
from noisewise.inference import language_model
from noisewise.inference.recogniser import Recogniser
from noisewise.lm.protocol import LanguageModel
from noisewise.scoring.words import score
from noisewise.text.normalise import Normaliser, fitting
from noisewise.text.tokenizer import Tokenizer

BATCH_SECONDS = 60.0
"""Audio that goes through the model at once, padding included."""


@dataclass(frozen=True)
class DevSetPosteriors:
    """Log-probabilities and reference transcripts of the recordings of a development set."""

    tokenizer: Tokenizer
    """Tokenizer of the model."""
    references: list[str] = field(default_factory=list)
    """Normalised transcripts."""
    log_probs: list[Tensor] = field(default_factory=list)
    """Natural logarithms of the CTC posteriors. (F, V) each"""
    frames: list[Tensor] = field(default_factory=list)
    """Encoder output that an attention decoder attends to; empty for models without one. (F, E) each"""
    frame_seconds: float = 0.04
    """Time between two frames."""
    left_out: list[str] = field(default_factory=list)
    """Reason for each recording that could not be decoded and is not among the others."""

    def decode(
        self,
        config: DecodingConfig | None,
        model: LanguageModel | None = None,
        hotwords: Iterable[str] = (),
        begin: Begin | None = None,
    ) -> list[str]:
        """The hypotheses under a configuration; greedy without one.

        Args:
            config: of the search.
            model: a language model that is loaded already.
            hotwords: words or phrases that the search favours.
            begin: makes the step function of the decoder, where attention takes part.

        Raises:
            EvaluationError: attention takes part, but there is no decoder, or no encoder output for it.
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
        for together in batches_of(order, lambda at: len(self.log_probs[at])):
            frames = [self.frames[at] for at in together] if attends else []
            found = best([self.log_probs[at] for at in together], self.tokenizer, self.frame_seconds, search, frames)
            for at, hypothesis in zip(together, found, strict=True):
                texts[at] = hypothesis.text
        return texts

    @property
    def normaliser(self) -> Normaliser:
        """Form of the references and of what the model writes."""
        return fitting(self.tokenizer.symbols)

    def wer(self, config: DecodingConfig | None, model: LanguageModel | None = None) -> float:
        """Word error rate under a configuration; greedy without one."""
        return score(self.references, self.decode(config, model), normaliser=self.normaliser).wer


def refuse_test_set(manifest: str) -> None:
    """Refuse a manifest whose name, or whose column `split`, marks it as a test set.

    Raises:
        EvaluationError: it is.
    """
    path, kept = manifests.split_source(manifest)
    named = [path.rstrip("/").rpartition("/")[2], *re.findall(r"split=([^&]*)", kept)]
    splits = {manifests.column(cut, "split") or "" for cut in manifests.read(manifest)}
    marked = [name for name in [*named, *sorted(splits)] if re.search(r"(?<![a-z])(test|eval)(?![a-z])", name.lower())]
    if marked:
        raise EvaluationError(
            f"`{manifest}` must be a development set, but is named '{marked[0]}': a test set that chose the weights "
            "measures nothing; take other recordings, or --force"
        )


def compute_posteriors(
    recogniser: Recogniser,
    manifest: str,
    noise: str | None = None,
    snrs_db: Sequence[float] = (),
    *,
    types: Sequence[str] | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> DevSetPosteriors:
    """Posteriors of a development set: clean, and at each signal-to-noise ratio with the types of noise in turn.

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
    found = posteriors_of(recogniser, list(_mixtures(speech, pool, snrs_db)))
    found.left_out.extend(f"{each.id}: {each.reason}" for each in speech.skipped)
    return found


def posteriors_of(recogniser: Recogniser, sources: "Sequence[tuple[str, Callable[[], Waveform]]]") -> DevSetPosteriors:
    """Posteriors of recordings; those that cannot be decoded are counted in `left_out`.

    Args:
        recogniser: the model.
        sources: transcript of each, and a function that returns its waveform (T,).

    Raises:
        EvaluationError: no transcript has a word.
    """
    found = DevSetPosteriors(recogniser.tokenizer, frame_seconds=recogniser.model.hop / SAMPLE_RATE)
    for at in range(0, len(sources), 32):
        waveforms = [waveform() for _, waveform in sources[at : at + 32]]
        outputs = dict(recogniser.posteriors(waveforms, batch_seconds=BATCH_SECONDS))
        for position, (text, _) in enumerate(sources[at : at + 32]):
            if (error := outputs[position].error) is not None:
                found.left_out.append(error)
            else:
                found.references.append(found.normaliser(text))
                found.log_probs.append(outputs[position].log_probs)
                if (frames := outputs[position].frames) is not None:
                    found.frames.append(frames)
    if not any(found.references):
        raise EvaluationError(
            "the development set must have a transcript with a word, but has none; add transcripts"
            + (f" ({len(found.left_out)} recordings were left out: {found.left_out[0]})" if found.left_out else "")
        )
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
