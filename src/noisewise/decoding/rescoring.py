"""N-best rescoring: a language model chooses among the hypotheses of a first pass.

D. Jurafsky, J. Martin, "Speech and Language Processing", chapter on speech recognition:

    score(Y | X) = 1 / |Y|_c ln P(Y | X) + lambda ln P_LM(Y)

with |Y|_c the number of characters; long hypotheses are then not punished for their length by the first term.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from noisewise.config import config
from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.ctc.search import BeamState
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.errors import DecodingError
from noisewise.lm.protocol import LanguageModel, Unit, prefetch, sentence_score, unit_of
from noisewise.text.tokenizer import BOUNDARY, Tokenizer

TOGETHER = 32
"""Utterances whose hypotheses are put to the language model together."""


@config
class RescoringConfig:
    """The second pass: which model, and how much it counts."""

    lm: str
    """Folder of a Transformer language model, or ARPA file."""
    lm_unit: Unit = "words"
    """Unit of an ARPA file; the folder of a Transformer states its own."""
    weight: float = 0.5
    """Weight of the natural logarithm of the language model, lambda."""
    bonus: float = 0.0
    """Word insertion bonus; for each character with a model over characters."""
    nbest: int = 20
    """Number of hypotheses of the first pass that are rescored; no more than its beam."""
    normalise_length: bool = True
    """Whether the score of the first pass is divided by the number of characters."""
    keep_fusion: bool = True
    """Whether the score of the first pass includes its language model and hotwords; else it is ln P(Y | X) alone."""

    def __post_init__(self) -> None:
        if self.nbest < 1:
            raise DecodingError(f"`rescoring.nbest` must be 1 or more, but is {self.nbest} instead")


@dataclass(frozen=True)
class ScoredHypothesis:
    """A hypothesis with its score by a language model."""

    hypothesis: Hypothesis
    """Hypothesis of the first pass."""
    score: float
    """ln P_LM(Y)."""
    tokens: int
    """Length |Y| in the tokens of the language model."""


def score_nbest_by_lm(
    nbest: Sequence[Sequence[Hypothesis]], model: LanguageModel, *, characters: bool = False
) -> list[list[ScoredHypothesis]]:
    """Score the n-best hypotheses of several utterances by a language model."""
    found: list[list[ScoredHypothesis]] = []
    for at in range(0, len(nbest), TOGETHER):
        split = [[(each, _tokens(each, characters)) for each in one] for one in nbest[at : at + TOGETHER]]
        prefetch(model, [tokens for one in split for _, tokens in one])
        found += [
            [ScoredHypothesis(each, sentence_score(model, tokens), len(tokens)) for each, tokens in one]
            for one in split
        ]
    return found


def ranked(
    scored: Sequence[ScoredHypothesis],
    weight: float,
    bonus: float = 0.0,
    *,
    normalise_length: bool = True,
    keep_fusion: bool = False,
) -> list[Hypothesis]:
    """The hypotheses of an utterance with new scores, best first; see `RescoringConfig`."""
    found = []
    for each in scored:
        first = each.hypothesis.score if keep_fusion else each.hypothesis.ctc_score
        length = max(len(each.hypothesis.text), 1) if normalise_length else 1
        found.append(replace(each.hypothesis, score=first / length + weight * each.score + bonus * each.tokens))
    return sorted(found, key=lambda each: -each.score)


def rescore(
    hypotheses: Sequence[Hypothesis],
    model: LanguageModel,
    weight: float,
    *,
    bonus: float = 0.0,
    normalise_length: bool = True,
    characters: bool = False,
    keep_fusion: bool = False,
) -> list[Hypothesis]:
    """The hypotheses with new scores, best first.

    Args:
        hypotheses: of a beam search; their `ctc_score` is ln P(Y | X).
        model: over words, or over letters and `|`.
        weight: lambda.
        bonus: added for each word, or each letter.
        normalise_length: divide the score of the first pass by the number of characters; else take it as it is.
        characters: the model is over letters.
        keep_fusion: the score of the first pass is `score`, all that it has added up; else `ctc_score`.
    """
    (scored,) = score_nbest_by_lm([hypotheses], model, characters=characters)
    return ranked(scored, weight, bonus, normalise_length=normalise_length, keep_fusion=keep_fusion)


class RescoredBeam(PrefixBeam):
    """A beam search whose hypotheses a second language model puts in order.

    Args:
        tokenizer: as of `PrefixBeam`.
        search: size of the first pass; `nbest` hypotheses are returned in the end.
        fusion: of the first pass.
        rescoring: how the second pass weighs.
        model: its language model.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        search: BeamConfig,
        fusion: Fusion | None,
        rescoring: RescoringConfig,
        model: LanguageModel,
    ):
        first = replace(search, nbest=min(max(search.nbest, rescoring.nbest), search.beam))
        super().__init__(tokenizer, first, fusion)
        self.nbest, self.rescoring, self.model = search.nbest, rescoring, model

    def hypotheses(self, state: BeamState, frame_seconds: float) -> list[list[Hypothesis]]:
        """As of `PrefixBeam`, in the order of both passes together."""
        chosen = self.rescoring
        characters = unit_of(self.model, chosen.lm_unit) == "characters"
        scored = score_nbest_by_lm(super().hypotheses(state, frame_seconds), self.model, characters=characters)
        return [
            ranked(
                each,
                chosen.weight,
                chosen.bonus,
                normalise_length=chosen.normalise_length,
                keep_fusion=chosen.keep_fusion,
            )[: self.nbest]
            for each in scored
        ]


def _tokens(hypothesis: Hypothesis, characters: bool) -> list[str]:
    return list(hypothesis.text.replace(" ", BOUNDARY)) if characters else hypothesis.text.split()
