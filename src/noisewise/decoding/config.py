"""All options of decoding in one configuration, and the decoder that they make."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from noisewise.config import config, dump
from noisewise.decoding.attention.joint import JointConfig, JointSearch
from noisewise.decoding.attention.rescoring import AttentionRescoring
from noisewise.decoding.attention.search import AttentionSearch, Begin
from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.fusion import Fusion, Scorer
from noisewise.decoding.fusion.hotwords import BOOST, Hotwords
from noisewise.decoding.fusion.lexicon import Lexicon
from noisewise.decoding.fusion.lm_scorers import CharacterScorer, WordScorer
from noisewise.decoding.fusion.spelling import must_be_spelled
from noisewise.decoding.fusion.subwords import SubwordScorers
from noisewise.decoding.rescoring import RescoredBeam, RescoringConfig
from noisewise.decoding.whisper.config import WhisperSearchConfig
from noisewise.errors import ConfigError, DecodingError
from noisewise.lm import loading
from noisewise.lm.protocol import LanguageModel, Unit, unit_of
from noisewise.text import lines
from noisewise.text.subword import SubwordTokenizer
from noisewise.text.tokenizer import BOUNDARY, Tokenizer

Load = Callable[[str, str], LanguageModel]
"""A path and a backend to a language model: `loading.load`, or one that knows more kinds."""


@config
class DecodingConfig:
    """How log-probabilities become text."""

    search: BeamConfig = BeamConfig()
    """Size of the search by CTC."""
    lm: str | None = None
    """ARPA file of a language model, or folder of a Transformer language model; null for the acoustic model alone."""
    lm_unit: Unit = "words"
    """Unit of an ARPA file; the folder of a Transformer states its own."""
    lm_backend: Literal["noisewise", "kenlm", "flashlight"] = "noisewise"
    """Implementation that reads an ARPA file."""
    lm_weight: float = 0.5
    """Language model weight, alpha: factor of its natural logarithm."""
    bonus: float = 1.0
    """Word insertion bonus, beta; for each character with a model over characters."""
    unknown_penalty: float = 5.0
    """OOV penalty: subtracted for each word out of the vocabulary of a model over words; hotwords are exempt. It falls
    with `lm_weight` below 0.05, to nothing at 0."""
    lexicon: str | None = None
    """File with one word a line, the only words that the output may contain besides hotwords; null for any word."""
    look_ahead: bool = False
    """LM look-ahead: whether the score of a word is spread over its tokens; needs a lexicon and a model over words."""
    hotword_boost: float = BOOST
    """Boost of a hotword for each of its letters, a natural logarithm; above 1.5, at most 12 for the whole hotword."""
    rescoring: RescoringConfig | None = None
    """Second language model, which rescores the n-best hypotheses; null for a single pass."""
    attention: JointConfig | None = None
    """Search with the attention decoder of a model that has one; null for CTC alone."""
    whisper: WhisperSearchConfig | None = None
    """Search with the decoder of a Whisper, which writes tokens of its own; null for any other model."""

    def __post_init__(self) -> None:
        if self.whisper is not None:
            self._must_suit_whisper()
        if self.attention is not None and self.rescoring is not None:
            raise ConfigError("`rescoring` must be left out with `attention`, but is given; fuse its model as `lm`")

    def _must_suit_whisper(self) -> None:
        for name in ("lm", "lexicon", "rescoring", "attention"):
            if getattr(self, name) is not None:
                raise ConfigError(
                    f"`{name}` must be left out for a Whisper, whose decoder writes tokens that no language model or "
                    "lexicon of noisewise knows, but is given; use `beam`, `nbest` and `hotwords`, or a CTC model"
                )

    def values(self) -> dict[str, Any]:
        """As it is written and hashed: without `whisper` where that is null, as before there was one.

        Example:
            >>> "whisper" in DecodingConfig().values()
            False
        """
        return {name: value for name, value in dump(self).items() if name != "whisper" or value is not None}

    def most(self, nbest: int) -> "DecodingConfig":
        """The same with so many hypotheses in the end, and a beam that holds them."""
        if self.whisper is not None:
            several = replace(self.whisper, nbest=nbest, beam=max(nbest, self.whisper.beam))
            return replace(self, whisper=several)
        if self.attention is not None:
            wide = replace(self.attention, nbest=nbest, beam=max(nbest, self.attention.beam))
            return replace(self, attention=wide)
        return replace(self, search=replace(self.search, nbest=nbest, beam=max(nbest, self.search.beam)))


def build(
    config: DecodingConfig,
    tokenizer: Tokenizer,
    hotwords: Iterable[str] | Mapping[str, float] = (),
    model: LanguageModel | None = None,
    rescorer: LanguageModel | None = None,
    load: Load = loading.load,
) -> PrefixBeam:
    """The decoder of a configuration.

    Args:
        config: all options.
        tokenizer: of the model whose log-probabilities will come.
        hotwords: normalised words or phrases that the search favours, perhaps with boosts of their own.
        model: a language model that is loaded already; that of the configuration if left out.
        rescorer: the same for rescoring.
        load: reads those that are left out.

    Raises:
        NoisewiseError: a file or word that cannot be used.
    """
    fusion = _fusion(config, tokenizer, hotwords, model, load)
    if config.rescoring is None:
        return PrefixBeam(tokenizer, config.search, fusion)
    rescorer = rescorer or load(config.rescoring.lm, "noisewise")
    return RescoredBeam(tokenizer, config.search, fusion, config.rescoring, rescorer)


def build_attention(
    config: DecodingConfig,
    tokenizer: Tokenizer,
    begin: Begin,
    hotwords: Iterable[str] | Mapping[str, float] = (),
    model: LanguageModel | None = None,
    load: Load = loading.load,
) -> AttentionSearch:
    """The decoder of a configuration with `attention`.

    Args:
        config: all options.
        tokenizer: of the model.
        begin: makes the step function of its decoder.
        hotwords: as in `build`, like the others.
        model: see there.
        load: see there.

    Raises:
        NoisewiseError: a file or word that cannot be used.
    """
    chosen = config.attention or JointConfig()
    fusion = _fusion(config, tokenizer, hotwords, model, load)
    search: JointSearch | AttentionRescoring = JointSearch(tokenizer, chosen, fusion)
    if chosen.mode == "rescoring":
        first = replace(config.search, nbest=chosen.beam, beam=max(chosen.beam, config.search.beam))
        search = AttentionRescoring(PrefixBeam(tokenizer, first, fusion), chosen)
    return AttentionSearch(search, begin, tokenizer, chosen.piece_seconds, chosen.nbest)


def _fusion(
    config: DecodingConfig,
    tokenizer: Tokenizer,
    hotwords: Iterable[str] | Mapping[str, float],
    model: LanguageModel | None,
    load: Load,
) -> Fusion | None:
    """What language model, lexicon and hotwords add; None for nothing."""
    hotwords = hotwords if isinstance(hotwords, Mapping) else dict.fromkeys(hotwords, config.hotword_boost)
    spared = {word for phrase in hotwords for word in phrase.split()}
    words = sorted(spared | set(_read_words(config.lexicon))) if config.lexicon else []
    if model is None and config.lm:
        is_told = config.lm_backend == "flashlight"  # it must know beforehand what will be asked
        model = loading.load(config.lm, "flashlight", words) if is_told else load(config.lm, config.lm_backend)
    unit = config.lm_unit if model is None else unit_of(model, config.lm_unit)
    if config.look_ahead and not (words and model and unit == "words"):
        raise DecodingError("`look_ahead` must come with `lexicon` and an `lm` over words, but one is missing; add it")
    pieces = tokenizer.pieces if isinstance(tokenizer, SubwordTokenizer) else None
    if pieces is not None and model is not None and unit != "words":
        raise DecodingError(
            "`lm` must be over words for a model that writes subwords, but is over characters; train one over words"
        )
    spelling, scorers = pieces or tokenizer, list[Scorer]()
    if model is not None:
        _must_fit(model, unit, spelling, config.lm or "lm")
    if words:
        scorers.append(Lexicon(words, spelling, model if config.look_ahead else None, config.lm_weight))
    is_off = config.lm_weight == config.bonus == 0
    if model is not None and unit == "words" and not is_off:
        scorers.append(WordScorer(model, spelling, config.lm_weight, config.bonus, config.unknown_penalty, spared))
    elif model is not None and not is_off:
        scorers.append(CharacterScorer(model, spelling, config.lm_weight, config.bonus))
    if hotwords:
        scorers.append(Hotwords(hotwords, spelling))
    if scorers and pieces is not None:
        scorers = [SubwordScorers(scorers, pieces)]
    return Fusion(scorers, len(tokenizer)) if scorers else None


def _must_fit(model: LanguageModel, unit: Unit, spelling: Tokenizer, source: str) -> None:
    """Refuse a language model whose tokens the recogniser does not write."""
    if unit == "words":
        must_be_spelled(loading.words_of(model), spelling, source)
        return
    letters = [symbol for symbol in spelling.symbols if len(symbol) == 1]
    if not any(model.knows(letter) for letter in letters if letter != BOUNDARY):
        raise DecodingError(
            f"`{source}` must hold the letters of the recogniser ({''.join(letters)[:80]}), but holds none of them; "
            "check its case and alphabet, and `lm_unit`: a model over words has lm_unit=words"
        )


def _read_words(path: str) -> list[str]:
    if not Path(path).is_file():
        raise DecodingError(f"`{path}` must be a file with one word a line, but there is no such file; check the path")
    words = [word for line in lines.read(path, DecodingError) for word in line.split()]
    if not words:
        raise DecodingError(f"`{path}` must hold one word a line, but holds none; add words, or leave the lexicon out")
    return words
