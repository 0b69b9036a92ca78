"""CTC prefix scores: ln of the probability of all transcripts that begin with some tokens.

Watanabe et al. 2017, Sec. III-B, algorithm 2. With n_t(g) and b_t(g) for the probability that the first t frames say g
and end in its last token or in a blank, and h = g + c:

    phi_t    = b_t(g) + (n_t(g) unless g ends in c),  phi_0 = 1 of the empty g, else 0
    n_t(h)   = (n_{t-1}(h) + phi_{t-1}) p(c | t)
    b_t(h)   = (b_{t-1}(h) + n_{t-1}(h)) p(blank | t)
    psi(h)   = sum over t of phi_{t-1} p(c | t),      P(h) = n_F(h) + b_F(h)

Each recursion is x_t = (x_{t-1} + u_{t-1}) p_t; with A_t = p_1 ... p_t, x_t / A_t is a running sum of
u_{t-1} / A_{t-1}, so all frames are taken at once.

Legend: B utterances, K prefixes of each, F frames, V tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR = -1e5
"""Logarithm of a probability of 0 where running sums divide by it."""


@dataclass(frozen=True)
class Prefixes:
    """The state of all prefixes, in logarithms."""

    ends: Tensor
    """n_t. (B, K, F)"""
    blanks: Tensor
    """b_t. (B, K, F)"""
    last: Tensor
    """Last token, the blank of the empty prefix. (B, K)"""

    def keep(self, rows: Tensor) -> "Prefixes":
        """Those of some utterances. (B',)"""
        return Prefixes(self.ends[rows], self.blanks[rows], self.last[rows])


class PrefixScores:
    """Scores of growing prefixes over the log-probabilities of a batch.

    Args:
        log_probs: natural logarithms. (B, F, V)
        lengths: valid frames; those behind are taken for blanks that are sure. (B,)
        blank: id of the blank.
    """

    def __init__(self, log_probs: Tensor, lengths: Tensor, blank: int = 0):
        self.blank = blank
        past = torch.arange(log_probs.shape[1], device=log_probs.device) >= lengths[:, None]  # (B, F)
        emissions = log_probs.double().masked_fill(past[..., None], -torch.inf)
        emissions[..., blank] = emissions[..., blank].masked_fill(past, 0.0)
        self.emissions = emissions
        self.probabilities = emissions.exp()
        self.sums = emissions.clamp(min=FLOOR).cumsum(dim=1)  # ln A_t. (B, F, V)

    def keep(self, rows: Tensor) -> None:
        """Go on with these utterances alone. (B',)"""
        self.emissions, self.sums = self.emissions[rows], self.sums[rows]
        self.probabilities = self.probabilities[rows]

    def start(self) -> Prefixes:
        """The empty prefix of each utterance."""
        blanks = self.emissions[..., self.blank].cumsum(dim=1)[:, None]  # (B, 1, F)
        nothing = torch.full_like(blanks, -torch.inf)
        return Prefixes(nothing, blanks, torch.full(blanks.shape[:2], self.blank, device=blanks.device))

    def scores(self, prefixes: Prefixes) -> Tensor:
        """ln psi of each prefix with each token behind it; in the column of the blank, ln P of the prefix itself.

        Returns:
            (B, K, V) float64
        """
        total = torch.logaddexp(prefixes.ends, prefixes.blanks)
        scores = self._summed(self._before(total, prefixes.last))
        own = self.emissions.gather(2, prefixes.last[:, None].expand(-1, total.shape[2], -1)).transpose(1, 2)
        repeated = (self._before(prefixes.blanks, prefixes.last) + own).logsumexp(dim=2)
        scores = scores.scatter(2, prefixes.last[..., None], repeated[..., None])
        scores[..., self.blank] = (
            total[..., -1] if total.shape[2] else torch.where(prefixes.last == self.blank, 0.0, -torch.inf)
        )
        return scores

    def _summed(self, before: Tensor) -> Tensor:
        """ln of the sum over t of e^x_t p(c | t) for every token c: a product of matrices. (B, K, F) -> (B, K, V)"""
        if before.shape[2] == 0:
            return before.new_full((*before.shape[:2], self.emissions.shape[2]), -torch.inf)
        largest = before.amax(dim=2, keepdim=True).clamp(min=torch.finfo(before.dtype).min)
        return torch.matmul((before - largest).exp(), self.probabilities).log() + largest

    def extend(self, prefixes: Prefixes, parents: Tensor, tokens: Tensor) -> Prefixes:
        """Prefixes with one more token.

        Args:
            prefixes: before.
            parents: which of them grows. (B, K')
            tokens: by what. (B, K')
        """
        frames = self.sums.shape[1]
        where = parents[..., None].expand(-1, -1, frames)
        ends, blanks = prefixes.ends.gather(1, where), prefixes.blanks.gather(1, where)
        last = prefixes.last.gather(1, parents)
        total = torch.where((last == tokens)[..., None], blanks, torch.logaddexp(ends, blanks))
        grown = self._recursion(self._before(total, last), tokens)
        nothing = torch.full_like(grown[..., :1], -torch.inf)
        silent = torch.full_like(tokens, self.blank)
        return Prefixes(grown, self._recursion(torch.cat((nothing, grown), dim=2)[..., :-1], silent), tokens)

    def _recursion(self, before: Tensor, tokens: Tensor) -> Tensor:
        """x_t = (x_{t-1} + u_{t-1}) p_t of a token from u_{t-1}, x_0 = 0. (B, K, F), (B, K) -> (B, K, F)"""
        where = tokens[:, None].expand(-1, before.shape[2], -1)
        sums = self.sums.gather(2, where).transpose(1, 2)  # (B, K, F)
        earlier = torch.cat((torch.zeros_like(sums[..., :1]), sums), dim=2)[..., :-1]
        impossible = self.emissions.gather(2, where).transpose(1, 2) == -torch.inf
        return (sums + (before - earlier).logcumsumexp(dim=2)).masked_fill(impossible, -torch.inf)

    def _before(self, values: Tensor, last: Tensor) -> Tensor:
        """Values of the frame before; before the first frame there is nothing but the empty prefix. (B, K, F)"""
        first = torch.where(last == self.blank, 0.0, -torch.inf).to(values)
        return torch.cat((first[..., None], values), dim=2)[..., :-1]
