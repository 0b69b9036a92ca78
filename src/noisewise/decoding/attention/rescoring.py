"""Two passes: CTC searches, and the attention decoder rescores the n-best hypotheses.

    score(Y) = ((1 - w) ln P_att(Y | X) + w ln P_ctc(Y | X) + bonus |Y| + what fusion adds) / (|Y| + 1) ** power

the same as in one pass (noisewise.decoding.joint), over the n best of a prefix beam search. The decoder scores each
hypothesis once, so this costs little beyond the search by CTC; what that search has not kept cannot be found.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.attention.search import Steps, attention_scores
from noisewise.decoding.ctc.beam import PrefixBeam
from noisewise.decoding.hypothesis import Hypothesis


class AttentionRescoring:
    """The search.

    Args:
        proposer: searches by CTC, with fusion; its `nbest` is what attention chooses from.
        config: weights.
    """

    def __init__(self, proposer: PrefixBeam, config: JointConfig):
        self.proposer, self.config = proposer, config

    def decode(self, steps: Steps, log_probs: Tensor, lengths: Tensor, frame_seconds: float) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each utterance, best first.

        Args:
            steps: the decoder.
            log_probs: natural logarithms of token probabilities by CTC. (B, F, V)
            lengths: valid frames of each utterance. (B,)
            frame_seconds: time between two frames.
        """
        proposed = self.proposer.decode(log_probs, lengths, frame_seconds)
        by_attention = attention_scores(steps, [[each.tokens for each in found] for found in proposed])
        return [self._ranked(found, scores) for found, scores in zip(proposed, by_attention, strict=True)]

    def _ranked(self, hypotheses: Sequence[Hypothesis], attention: Sequence[float]) -> list[Hypothesis]:
        chosen, found = self.config, list[Hypothesis]()
        for each, by_attention in zip(hypotheses, attention, strict=True):
            if each.ctc_score == -math.inf:  # nothing fits what fusion allows
                found.append(each)
                continue
            both = (1 - chosen.ctc_weight) * by_attention + chosen.ctc_weight * each.ctc_score
            fused = each.score - each.ctc_score
            score = (both + chosen.bonus * len(each.tokens) + fused) / (len(each.tokens) + 1) ** chosen.length_power
            found.append(replace(each, score=score, attention_score=by_attention, fusion_score=fused))
        return sorted(found, key=lambda each: -each.score)[: chosen.nbest]
