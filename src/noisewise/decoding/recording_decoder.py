"""From the log-probabilities of whole recordings to their best hypotheses, greedily or by a search.

Legend: F frames of a recording, V tokens.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import torch
from torch import Tensor

from noisewise.decoding.attention.search import AttentionSearch, Begin
from noisewise.decoding.config import DecodingConfig, Load, build, build_attention
from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.ctc.greedy import greedy
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.errors import NoisewiseError
from noisewise.lm import loading
from noisewise.lm import protocol as lm
from noisewise.text.normalise import ENGLISH, Normaliser, fitting
from noisewise.text.tokenizer import Tokenizer

T = TypeVar("T")
Greedy = Literal["greedy"]
Search = PrefixBeam | AttentionSearch
Hotwords = Iterable[str] | Mapping[str, float] | Mapping[str, float | None]
CHUNK = 1000
"""Frames that a search is given at a time; it bounds the memory that long recordings need."""
MOST_FRAMES = 32 * CHUNK
"""Frames that are decoded together, padding included."""
FOR_HOTWORDS = DecodingConfig(search=BeamConfig(beam=8))
"""Greedy decoding has no second choice that a hotword could lift; this is the next best."""


class RecordingDecoder:
    """The decoding of a model; language models are read once.

    Args:
        tokenizer: of the model.
        config: of a search, or `greedy`.
        load: reads language models.
        begin: makes the step function of the attention decoder, of a model that has one.

    Raises:
        NoisewiseError: a language model or lexicon that cannot be used, or there is no attention decoder.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: DecodingConfig | Greedy = "greedy",
        load: Load = loading.load,
        begin: Begin | None = None,
    ):
        self.tokenizer = tokenizer
        self.config = config
        self._model: lm.LanguageModel | None = None
        self._rescorer: lm.LanguageModel | None = None
        self._search: Search | None = None
        self._begin = begin
        if not isinstance(config, str):
            if config.lm and config.lm_backend != "flashlight":  # that one must know the hotwords beforehand
                self._model = load(config.lm, config.lm_backend)
            if config.rescoring is not None:
                self._rescorer = load(config.rescoring.lm, "noisewise")
            self._search = self._build(config, {})

    def search(self, hotwords: Hotwords = ()) -> Search | None:
        """The search that favours some words, normalised here; None for greedy decoding.

        Raises:
            DecodingError: a hotword that the tokenizer cannot write.
        """
        wanted = normalised_hotwords(hotwords, fitting(self.tokenizer.symbols))
        if not wanted:
            return self._search
        config = FOR_HOTWORDS if isinstance(self.config, str) else self.config
        boosts = {word: config.hotword_boost if boost is None else boost for word, boost in wanted.items()}
        return self._build(config, boosts)

    def _build(self, config: DecodingConfig, boosts: Mapping[str, float]) -> Search:
        if config.attention is None:
            return build(config, self.tokenizer, boosts, self._model, self._rescorer)
        if self._begin is None:
            raise NoisewiseError(
                "`attention` must be left out for a model without an attention decoder, but is given; search by CTC"
            )
        return build_attention(config, self.tokenizer, self._begin, boosts, self._model)


def best(
    log_probs: Sequence[Tensor],
    tokenizer: Tokenizer,
    frame_seconds: float,
    search: Search | None = None,
    frames: Sequence[Tensor] = (),
) -> list[Hypothesis]:
    """The best hypothesis of each recording; arguments as of `nbest`."""
    return [found[0] for found in nbest(log_probs, tokenizer, frame_seconds, search, frames)]


def nbest(
    log_probs: Sequence[Tensor],
    tokenizer: Tokenizer,
    frame_seconds: float,
    search: Search | None = None,
    frames: Sequence[Tensor] = (),
) -> list[list[Hypothesis]]:
    """The best hypotheses of each recording, at least one, as many as the search gives.

    Args:
        log_probs: of whole recordings. (F, V) each
        tokenizer: maps ids to text.
        frame_seconds: time between two frames.
        search: from a configuration; None for greedy decoding.
        frames: encoder output that an attention decoder attends to, if one takes part. (F, E) each
    """
    if not log_probs:
        return []
    if isinstance(search, AttentionSearch):
        return search.decode(log_probs, frames, frame_seconds)
    lengths = torch.tensor([len(each) for each in log_probs])
    padded = torch.nn.utils.rnn.pad_sequence(list(log_probs), batch_first=True)
    if search is None:
        return [[each] for each in greedy(padded, lengths, tokenizer, frame_seconds)]
    state = search.start(len(padded), padded.device)
    for at in range(0, padded.shape[1], CHUNK):
        piece = padded[:, at : at + CHUNK]
        search.feed(state, piece, (lengths - at).clamp(0, piece.shape[1]))
    return search.hypotheses(state, frame_seconds)


def batches_of(items: Iterable[T], frames: Callable[[T], int], most: int = MOST_FRAMES) -> Iterator[list[T]]:
    """Recordings that come one after another, as many together as fit.

    Args:
        items: the recordings.
        frames: tells the length of one.
        most: frames together, padding included; a longer recording goes alone.
    """
    together: list[T] = []
    longest = 0
    for item in items:
        longest = max(longest, frames(item))
        if together and (len(together) + 1) * longest > most:
            yield together
            together, longest = [], frames(item)
        together.append(item)
    if together:
        yield together


def normalised_hotwords(hotwords: Hotwords, normaliser: Normaliser = ENGLISH) -> dict[str, float | None]:
    """Hotwords in the form of transcripts, to their boosts; None for that of the configuration."""
    if isinstance(hotwords, str):
        hotwords = [hotwords]
    boosts = dict(hotwords) if isinstance(hotwords, Mapping) else dict.fromkeys(hotwords)
    return {normaliser(word) or word: boost for word, boost in boosts.items()}
