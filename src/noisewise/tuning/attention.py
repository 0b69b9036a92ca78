"""The weights of a search by attention and CTC, from n-best lists of a development set.

    score(Y) = ((1 - w) ln P_att(Y | X) + w ln P_ctc(Y | X) + b |Y| + alpha ln P_LM(Y) + beta words(Y)) / (|Y| + 1)^p

F. J. Och (2003), "Minimum Error Rate Training in Statistical Machine Translation", section 5: weights are chosen by the
errors of the hypotheses that they put first, in lists that a search with the weights before has made; then the search
runs again with the new ones, and its lists are added. Here they are drawn at random, not along lines.

Legend: N recordings, K hypotheses of the longest list.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.attention.search import Begin
from noisewise.decoding.config import DecodingConfig, build_attention
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.decoding.recording_decoder import batches_of, nbest
from noisewise.decoding.rescoring import score_nbest_by_lm
from noisewise.errors import EvaluationError
from noisewise.inference import language_model
from noisewise.lm.protocol import LanguageModel, unit_of
from noisewise.scoring.words import score
from noisewise.tuning.ctc import REPAID, WEIGHTS
from noisewise.tuning.posteriors import DevSetPosteriors

POWERS = (0.0, 0.5, 1.0)
LENGTH_BONUS = (0.0, 1.5)
DRAWS = 2000
NBEST = 16
"""Hypotheses of each recording in the lists."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Weights of a search by attention and CTC; the letters are those of the equation above."""

    ctc_weight: float
    """Weight of CTC beside attention, w."""
    length_bonus: float
    """Bonus of each token, b."""
    length_power: float
    """Power of the length normalisation, p."""
    lm_weight: float = 0.0
    """Weight of the language model, alpha."""
    bonus: float = 0.0
    """Word insertion bonus, beta."""


@dataclass(frozen=True)
class JointNbest:
    """Scores of n-best lists; what is beyond the end of a list has a `rest` of -inf. (N, K) each"""

    attention: Array
    """ln P_att of each hypothesis."""
    ctc: Array
    """ln P_ctc of each hypothesis."""
    tokens: Array
    """Length of each hypothesis in tokens, |Y|."""
    language: Array
    """ln P_LM; 0 without a language model."""
    words: Array
    """Length of each hypothesis as the language model counts."""
    rest: Array
    """Score that lexicon, OOV penalties and hotwords add."""
    errors: Array
    """Word errors."""
    reference_words: int
    """Words of the references together."""

    def wer(self, weights: Weights) -> float:
        """Word error rate of the hypotheses that these weights put first."""
        scores = self.rest + weights.length_bonus * self.tokens
        scores += weights.lm_weight * self.language + weights.bonus * self.words
        scores += (1 - weights.ctc_weight) * self.attention + weights.ctc_weight * self.ctc
        chosen = (scores / (self.tokens + 1) ** weights.length_power).argmax(axis=1)
        return float(np.take_along_axis(self.errors, chosen[:, None], axis=1).sum()) / self.reference_words


def tune_attention(
    posteriors: DevSetPosteriors,
    config: DecodingConfig,
    begin: Begin,
    *,
    rounds: int = 2,
    seed: int = 0,
    progress: Callable[[Weights, float], None] | None = None,
) -> tuple[DecodingConfig, float]:
    """The configuration with the fewest word errors of those that were searched with.

    Args:
        posteriors: the development set, with the output of the encoder.
        config: with `attention`, perhaps with a language model; sizes of the search stay.
        begin: makes the step function of the decoder.
        rounds: searches with new weights, after one with those of the configuration.
        seed: of the draws.
        progress: called after each search with its weights and word error rate.

    Returns:
        It, and its word error rate.

    Raises:
        EvaluationError: there is no attention, or no encoder output.
    """
    if config.attention is None or len(posteriors.frames) != len(posteriors.log_probs):
        raise EvaluationError("`config` must have `attention` for a model that has an attention decoder, but has none")
    model = language_model.load(config.lm, config.lm_backend) if config.lm else None
    random, pooled = np.random.Generator(np.random.Philox(seed)), list[JointNbest]()
    tried: list[tuple[float, DecodingConfig]] = []
    for _ in range(rounds + 1):
        found = nbest_lists(posteriors, config, begin, model)
        texts = [each[0].text for each in found]
        wer = score(posteriors.references, texts, normaliser=posteriors.normaliser).wer
        tried.append((wer, config))
        if progress is not None:
            progress(weights_of(config), wer)
        pooled.append(scores_of(posteriors.references, found, config, model))
        config = _with(config, _drawn(random, joined(pooled), weights_of(config), has_model=model is not None))
        if any(config == other for _, other in tried):
            break
    wer, config = min(tried, key=lambda each: each[0])
    return config, wer


def nbest_lists(
    posteriors: DevSetPosteriors, config: DecodingConfig, begin: Begin, model: LanguageModel | None
) -> list[list[Hypothesis]]:
    """The hypotheses of each recording under a configuration, and what else it would rank next."""
    search = build_attention(config.most(NBEST), posteriors.tokenizer, begin, model=model, load=language_model.load)
    found: list[list[Hypothesis]] = [[] for _ in posteriors.log_probs]
    order = sorted(range(len(found)), key=lambda at: len(posteriors.log_probs[at]))
    for together in batches_of(order, lambda at: len(posteriors.log_probs[at])):
        log_probs, frames = [posteriors.log_probs[at] for at in together], [posteriors.frames[at] for at in together]
        for at, each in zip(
            together, nbest(log_probs, posteriors.tokenizer, posteriors.frame_seconds, search, frames), strict=True
        ):
            found[at] = each
    return found


def scores_of(
    references: Sequence[str],
    found: Sequence[Sequence[Hypothesis]],
    config: DecodingConfig,
    model: LanguageModel | None = None,
) -> JointNbest:
    """Scores of n-best lists, under the configuration that made them."""
    scored = [[(0.0, 0)] * len(each) for each in found]
    if model is not None:
        characters = unit_of(model, config.lm_unit) == "characters"
        scored = [
            [(one.score, one.tokens) for one in each] for each in score_nbest_by_lm(found, model, characters=characters)
        ]
    numbers = np.zeros((7, len(found), max(map(len, found))))
    numbers[5] = -np.inf
    for row, (reference, hypotheses) in enumerate(zip(references, found, strict=True)):
        texts = [each.text for each in hypotheses]
        errors = score([reference] * len(hypotheses), texts, normaliser="none").per_utterance
        for place, (each, (language, words)) in enumerate(zip(hypotheses, scored[row], strict=True)):
            weighed = config.lm_weight * language + config.bonus * words if model is not None else 0.0
            numbers[:, row, place] = (
                each.attention_score, each.ctc_score, len(each.tokens), language, words,
                each.fusion_score - weighed, errors[place].total,
            )  # fmt: skip
    attention, ctc, tokens, language_scores, lengths, rest, wrong = numbers
    reference_words = sum(len(reference.split()) for reference in references)
    return JointNbest(attention, ctc, tokens, language_scores, lengths, rest, wrong, reference_words)


def joined(pooled: Sequence[JointNbest]) -> JointNbest:
    """JointNbest of the same recordings one behind the other."""

    def side_by_side(part: str) -> Array:
        return np.concatenate([getattr(each, part) for each in pooled], axis=1)

    parts: dict[str, Any] = {
        each.name: side_by_side(each.name) for each in fields(JointNbest) if each.name != "reference_words"
    }
    return replace(pooled[0], **parts)


def weights_of(config: DecodingConfig) -> Weights:
    """Those of a configuration."""
    chosen = config.attention or JointConfig()
    return Weights(chosen.ctc_weight, chosen.bonus, chosen.length_power, config.lm_weight, config.bonus)


def _with(config: DecodingConfig, weights: Weights) -> DecodingConfig:
    attention = replace(
        config.attention or JointConfig(),
        ctc_weight=weights.ctc_weight,
        bonus=weights.length_bonus,
        length_power=weights.length_power,
    )
    return replace(config, attention=attention, lm_weight=weights.lm_weight, bonus=weights.bonus)


def _drawn(random: np.random.Generator, numbers: JointNbest, first: Weights, *, has_model: bool) -> Weights:
    """The weights with the fewest errors of many that are drawn, to two decimals; the first of equals, `first` before
    all. All of attention, or all of CTC, stays."""
    best, fewest = first, numbers.wer(first)
    for _ in range(DRAWS):
        alone = first.ctc_weight in (0.0, 1.0)
        weight = round(float(random.uniform(*WEIGHTS)), 2) if has_model else first.lm_weight
        repaid = float(random.uniform(*REPAID))
        drawn = Weights(
            first.ctc_weight if alone else round(float(random.uniform(0.05, 0.95)), 2),
            round(float(random.uniform(*LENGTH_BONUS)), 2),
            float(random.choice(POWERS)),
            weight,
            round(weight * repaid, 2) if has_model else first.bonus,
        )
        wer = numbers.wer(drawn)
        if wer < fewest:
            best, fewest = drawn, wer
    off = replace(best, lm_weight=0.0, bonus=0.0)
    return off if has_model and numbers.wer(off) < fewest else best
