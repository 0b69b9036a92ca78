"""The weights of a second pass, from n-best lists that are made and scored once.

    score(Y | X) = first / |Y|_c + lambda ln P_LM(Y) + beta |Y|        (first as it is without length normalisation)

lambda and beta, and whether the length is normalised, are those of a grid with the fewest word errors over the
development set.

Legend: N recordings, K hypotheses of the longest list.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from noisewise.decoding.config import DecodingConfig, build
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.decoding.recording_decoder import batches_of, nbest
from noisewise.decoding.rescoring import RescoringConfig, score_nbest_by_lm
from noisewise.errors import EvaluationError
from noisewise.inference import language_model
from noisewise.lm.protocol import LanguageModel, unit_of
from noisewise.scoring.words import score
from noisewise.tuning.ctc import REPAID, WEIGHTS
from noisewise.tuning.posteriors import DevSetPosteriors

STEPS = (31, 17)
"""Values of lambda and of beta / lambda that are tried."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class RescoringNbest:
    """Scores of the n-best lists of a development set; what is beyond the end of a list scores -inf. (N, K) each"""

    first: Array
    """Score of the first pass."""
    language: Array
    """ln P_LM by the second language model."""
    tokens: Array
    """Length of each hypothesis as the language model counts, |Y|."""
    characters: Array
    """Length of each hypothesis in characters, |Y|_c."""
    errors: Array
    """Word errors."""
    words: int
    """Words of the references together."""

    def wer(self, weight: float, bonus: float, normalise_length: bool) -> float:
        """Word error rate of the hypotheses that come first."""
        first = self.first / self.characters if normalise_length else self.first
        chosen = (first + weight * self.language + bonus * self.tokens).argmax(axis=1)
        return float(np.take_along_axis(self.errors, chosen[:, None], axis=1).sum()) / self.words

    @property
    def mean_characters(self) -> float:
        """Mean length of all hypotheses in characters."""
        return float(self.characters[np.isfinite(self.first)].mean())

    @property
    def oracle(self) -> float:
        """Word error rate of the best hypothesis of each list."""
        return float(self.errors.min(axis=1).sum()) / self.words


def tune_rescoring(
    posteriors: DevSetPosteriors,
    config: DecodingConfig,
    model: LanguageModel | None = None,
    rescorer: LanguageModel | None = None,
) -> tuple[DecodingConfig, float, RescoringNbest]:
    """The configuration with the best second pass, its word error rate, and the lists.

    Args:
        posteriors: the development set.
        config: with `rescoring`; its first pass stays as it is, and so do `nbest` and `keep_fusion`.
        model: the language model of the first pass, if it is loaded already.
        rescorer: that of the second.

    Raises:
        EvaluationError: there is no second pass.
    """
    rescoring = config.rescoring
    if rescoring is None:
        raise EvaluationError("`rescoring` must name a language model, but is left out; give one")
    found = score_nbest(posteriors, config, rescoring, model, rescorer or language_model.load(rescoring.lm))
    tried = []
    for relative in np.linspace(*WEIGHTS, STEPS[0]).tolist():
        for repaid in np.linspace(*REPAID, STEPS[1]).tolist() if relative else [0.0]:
            for is_whole, weight in enumerate((relative / found.mean_characters, relative)):
                pair = round(weight, 5), round(weight * repaid, 5)
                tried.append((found.wer(*pair, not is_whole), relative, is_whole, *pair))
    wer, _, is_whole, weight, bonus = min(tried)  # among equals the smallest weight, which leans least on the text
    chosen = replace(rescoring, weight=weight, bonus=bonus, normalise_length=not is_whole)
    return replace(config, rescoring=chosen), wer, found


def score_nbest(
    posteriors: DevSetPosteriors,
    config: DecodingConfig,
    rescoring: RescoringConfig,
    model: LanguageModel | None,
    rescorer: LanguageModel,
) -> RescoringNbest:
    """The n-best lists of the first pass, with their scores by the second language model."""
    beam = config.search.beam
    first = replace(config, rescoring=None, search=replace(config.search, nbest=min(rescoring.nbest, beam)))
    search = build(first, posteriors.tokenizer, model=model, load=language_model.load)
    found: list[list[Hypothesis]] = [[]] * len(posteriors.log_probs)
    order = sorted(range(len(found)), key=lambda at: len(posteriors.log_probs[at]))
    for together in batches_of(order, lambda at: len(posteriors.log_probs[at])):
        several = nbest([posteriors.log_probs[at] for at in together], posteriors.tokenizer, 1.0, search)
        for at, hypotheses in zip(together, several, strict=True):
            found[at] = hypotheses
    characters = unit_of(rescorer, rescoring.lm_unit) == "characters"
    scored = score_nbest_by_lm(found, rescorer, characters=characters)
    references = [text for text, one in zip(posteriors.references, found, strict=True) for _ in one]
    texts, normaliser = [each.text for one in found for each in one], posteriors.normaliser
    errors = iter(score(references, texts, normaliser=normaliser).per_utterance)
    wide = max(map(len, found))
    table = np.zeros((5, len(found), wide))
    table[0], table[3] = -np.inf, 1.0
    for row, one in enumerate(scored):
        for column, each in enumerate(one):
            hypothesis = each.hypothesis
            value = hypothesis.score if rescoring.keep_fusion else hypothesis.ctc_score
            length = max(len(hypothesis.text), 1)
            table[:, row, column] = value, each.score, each.tokens, length, next(errors).total
        table[4, row, len(one) :] = np.inf
    words = score(posteriors.references, posteriors.references, normaliser=normaliser).words.reference_words
    scores, language, tokens, lengths, mistakes = table
    return RescoringNbest(scores, language, tokens, lengths, mistakes, words)
