"""N-best rescoring: a language model chooses among the hypotheses of a first pass.

D. Jurafsky, J. Martin, "Speech and Language Processing", chapter on speech recognition:

    score(Y | X) = 1 / |Y|_c ln P(Y | X) + lambda ln P_LM(Y)

with |Y|_c the number of characters; long hypotheses are then not punished for their length by the first term.
"""

from collections.abc import Sequence
from dataclasses import replace

from noisewise.decoding.hypothesis import Hypothesis
from noisewise.decoding.lm import LanguageModel, sentence_score
from noisewise.text.tokenizer import BOUNDARY


def rescore(
    hypotheses: Sequence[Hypothesis],
    model: LanguageModel,
    weight: float,
    *,
    bonus: float = 0.0,
    normalise_length: bool = True,
    characters: bool = False,
) -> list[Hypothesis]:
    """The hypotheses with new scores, best first.

    Args:
        hypotheses: of a beam search; their `ctc_score` is ln P(Y | X).
        model: over words, or over letters and `|`.
        weight: lambda.
        bonus: added for each word, or each letter.
        normalise_length: divide ln P(Y | X) by the number of characters; else take it as it is.
        characters: the model is over letters.
    """
    scored = []
    for each in hypotheses:
        tokens = list(each.text.replace(" ", BOUNDARY)) if characters else each.text.split()
        length = max(len(each.text), 1) if normalise_length else 1
        score = each.ctc_score / length + weight * sentence_score(model, tokens) + bonus * len(tokens)
        scored.append(replace(each, score=score))
    return sorted(scored, key=lambda each: -each.score)
