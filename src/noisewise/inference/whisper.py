"""A Whisper over windows of recordings: what is said in each, in its own tokens, with times and confidences.

Windows end in pauses and do not overlap, for texts, unlike log-probabilities of frames, cannot be joined in the middle
of a sentence. Long silence is cut out of a window first, and times are those of the window before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio.silence import Kept, without_silence
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.decoding.attention.segmentation import joined
from noisewise.decoding.config import DecodingConfig, build
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.decoding.recording_decoder import Greedy, Hotwords, normalised_hotwords
from noisewise.decoding.whisper.config import WhisperSearchConfig
from noisewise.decoding.whisper.decode import Utterances, WhisperSearch, prompted
from noisewise.decoding.whisper.hotwords import ProposedHotwords
from noisewise.decoding.whisper.search import DecoderSearch
from noisewise.errors import ConfigError
from noisewise.inference.windowing import padded
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.models.whisper.whisper import Whisper, WhisperSteps
from noisewise.text.normalise import fitting
from noisewise.text.tokenizer import Tokenizer

PROPOSED = BeamConfig(beam=8, nbest=8)
"""The search by CTC that proposes hotwords."""
WINDOW_SECONDS = 15.0
"""Windows of a Whisper that is not given silence to 30 s, at most: one trained on single utterances may end its text
behind the first of several sentences, and more of them stand in a longer window."""


def window_seconds(model: Whisper) -> float:
    """How long the windows of a recording are, at most; for a Whisper that fills them to 30 s, all that it can take."""
    longest = model.longest / SAMPLE_RATE
    return longest if model.config.pad_seconds > WINDOW_SECONDS else min(longest, WINDOW_SECONDS)


def suited(decoding: DecodingConfig | Greedy | None) -> DecodingConfig:
    """The decoding of a Whisper; greedy where nothing is said.

    Raises:
        ConfigError: it is that of a model of another kind.
    """
    if decoding is None or isinstance(decoding, str):
        return DecodingConfig(whisper=WhisperSearchConfig())
    if decoding.whisper is None:
        raise ConfigError(
            "`decoding` must have `whisper` for a Whisper, whose decoder searches by itself, but lacks it; give "
            "DecodingConfig(whisper=WhisperSearchConfig(...))"
        )
    return decoding


class WhisperDecoding:
    """The decoding of a Whisper, for any hotwords.

    Args:
        model: the model, in evaluation mode.
        pieces: its tokenizer.
        letters: that of its CTC head, if it has one.
        config: with `whisper`.
    """

    def __init__(self, model: Whisper, pieces: WhisperTokenizer, letters: Tokenizer, config: DecodingConfig):
        self.model, self.pieces, self.letters, self.config = model, pieces, letters, config
        self._plain = self.search(())

    def search(self, hotwords: Hotwords = ()) -> WhisperSearch:
        """The search that favours some words, as the user writes them.

        Raises:
            DecodingError: a hotword that the letters of the head cannot write, or too many without a head.
        """
        written = dict.fromkeys([hotwords] if isinstance(hotwords, str) else hotwords)
        if not written and hasattr(self, "_plain"):
            return self._plain
        sizes, chosen, head = self.model.config.decoder, self.config.whisper, self.model.has_head
        before = [] if head else prompted(self.pieces, written, sizes.positions)
        search = DecoderSearch(self.pieces, sizes.tokens, sizes.positions, chosen, before)
        proposed = self._proposed(hotwords) if head and written else None
        letters = self.letters if head else None
        return WhisperSearch(search, self.pieces, self.begin, letters, self.model.hop / SAMPLE_RATE, proposed)

    def begin(self, frames: Tensor, lengths: Tensor) -> WhisperSteps:
        """The decoder before its first token. (B, F, D), (B,)"""
        return self.model.steps(frames, lengths)

    def _proposed(self, hotwords: Hotwords) -> ProposedHotwords:
        normaliser = fitting(self.letters.symbols)
        wanted = normalised_hotwords(hotwords, normaliser)
        boosts = {word: self.config.hotword_boost if boost is None else boost for word, boost in wanted.items()}
        written: Sequence[str] = [hotwords] if isinstance(hotwords, str) else list(hotwords)
        spellings = {normaliser(word) or word: word for word in written}
        proposer = build(DecodingConfig(search=PROPOSED), self.letters, boosts)
        return ProposedHotwords(spellings, boosts, proposer)


@dataclass
class WindowTexts:
    """Hypotheses of the windows of one recording, in the order of time; a collector of `WindowedRunner`."""

    hop: int
    """Samples of a frame."""

    def __post_init__(self) -> None:
        self._parts: list[tuple[float, list[Hypothesis]]] = []

    def add(self, start: int, hypotheses: list[Hypothesis]) -> None:
        """Append a window that begins at a frame."""
        self._parts.append((start * self.hop / SAMPLE_RATE, hypotheses))

    def result(self, nbest: int) -> list[Hypothesis]:
        """The likeliest hypotheses of the whole recording, best first."""
        return joined(self._parts, None, nbest)


@torch.inference_mode()
def texts(
    model: Whisper, search: WhisperSearch, device: str, windows: Sequence[NDArray[Any]]
) -> list[list[Hypothesis]]:
    """What is said in windows, best first; neither company nor long silence changes it.

    Args:
        model: in evaluation mode.
        search: of the request.
        device: where the model runs.
        windows: (T,) each, 30 s at most.
    """
    kept = [without_silence(np.asarray(each, np.float32), model.hop) for each in windows]
    sounding = [each for each in kept if len(each.samples)]
    found = iter(_texts(model, search, device, [each.samples for each in sounding]) if sounding else [])
    return [
        [_in_window(hypothesis, each, model.hop) for hypothesis in next(found)]
        if len(each.samples)
        else [Hypothesis("", [])]
        for each in kept
    ]


def _texts(
    model: Whisper, search: WhisperSearch, device: str, waveforms: Sequence[NDArray[Any]]
) -> list[list[Hypothesis]]:
    waveform, lengths = padded(waveforms, device)
    output = model.encode(waveform, lengths)
    log_probs: list[Tensor] = []
    if model.has_head:
        rows, counts = model.spoken(model.recognise(output), lengths)
        log_probs = [row[:count].cpu() for row, count in zip(rows, counts.tolist(), strict=True)]
    seconds = [len(each) / SAMPLE_RATE for each in waveforms]
    return search.decode(Utterances(output.features, output.lengths, seconds, log_probs))


def _in_window(hypothesis: Hypothesis, kept: Kept, hop: int) -> Hypothesis:
    """The same with the times of the window before silence was cut."""
    if not kept.places:
        return hypothesis
    rate = hop / SAMPLE_RATE

    def moved(seconds: float, ends: bool) -> float:
        return kept.time_of(round(seconds / rate, 6), ends) * rate

    words = [replace(word, start=moved(word.start, False), end=moved(word.end, True)) for word in hypothesis.words]
    return replace(hypothesis, words=words)
