"""A Transformer language model asked word by word: the protocol of `decoding.lm`, each history computed once.

A state is the history itself, the ids of the tokens so far, so equal histories of different prefixes, frames,
utterances and recordings are one. What is computed for a history (keys and values of its last token, and the features
that give the next one) is remembered, and histories that are asked for together are computed together.

Legend: B histories, L tokens of the longest but the last, V vocabulary, D width, N layers, H heads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.models.lm import END, UNKNOWN, TransformerLM

History = tuple[int, ...]
BATCH = 256
"""Histories that are computed at once."""
ROOM = 1 << 30
"""Bytes for what is remembered, about."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    columns: tuple[Tensor, ...]
    """Keys and values of each token. L + 1 times (N, 2, H, D / H)"""
    features: NDArray[np.float32]
    """What the next token is expected by. (D,)"""
    normaliser: float
    """ln of the sum of exp of its logits."""


class IncrementalLM:
    """ln P(token | history), with states that are histories.

    Args:
        model: in evaluation mode.
        tokens: its vocabulary, in the order of the ids.
        room: bytes for what is remembered, about; the oldest is forgotten first, and computed again if need be.
    """

    def __init__(self, model: TransformerLM, tokens: Sequence[str], room: int = ROOM):
        self.model = model
        self.unit = model.config.unit
        """What its tokens are."""
        self._numbers = {token: number for number, token in enumerate(tokens)}
        self._output = model.embedding.weight.detach().cpu().float().numpy()  # (V, D)
        self._memory: dict[History, _Remembered] = {}
        config = model.config
        self._most = max(1, room // (config.dim * (2 * config.layers + 1) * 4 + 1000))
        self._nothing = torch.zeros(
            config.layers, 2, config.heads, config.dim // config.heads, device=model.embedding.weight.device
        )

    def start(self) -> History:
        """The state at the beginning of a sentence."""
        return (END,)

    def score(self, state: History, token: str) -> tuple[float, History]:
        """ln P(token | state), and the state after the token."""
        number = self._numbers.get(token, UNKNOWN)
        return self._log_prob(state, number), self._after(state, number)

    def end(self, state: History) -> float:
        """ln P(the sentence ends | state)."""
        return self._log_prob(state, END)

    def knows(self, token: str) -> bool:
        """Whether the token is in the vocabulary."""
        return token in self._numbers

    def advance(self, state: History, token: str) -> History:
        """The state after a token, without asking for its probability."""
        return self._after(state, self._numbers.get(token, UNKNOWN))

    def prefetch(self, states: Iterable[History]) -> None:
        """Compute what will be asked after these histories, all at once."""
        missing = {prefix for state in set(states) for prefix in self._missing(state)}
        while missing:
            ready = sorted((each for each in missing if len(each) == 1 or each[:-1] in self._memory), key=len)
            for at in range(0, len(ready), BATCH):
                self._compute(ready[at : at + BATCH])
            missing.difference_update(ready)
        if len(self._memory) > self._most:
            for state in list(self._memory)[: len(self._memory) - self._most + self._most // 4]:
                del self._memory[state]

    def _log_prob(self, state: History, number: int) -> float:
        found = self._memory.get(state)
        if found is None:
            self.prefetch((state,))
            found = self._memory[state]
        return float(found.features @ self._output[number]) - found.normaliser

    def _after(self, state: History, number: int) -> History:
        """One token more; of a history that becomes too long, the newer half, as if nothing had been before."""
        context = self.model.config.context
        longer = (*state, number)
        return longer if len(longer) <= context else longer[-(context // 2) :]

    def _missing(self, state: History) -> list[History]:
        """The history and those before it, back to one that is remembered."""
        found = []
        while state and state not in self._memory:
            found.append(state)
            state = state[:-1]
        return found

    @torch.inference_mode()
    def _compute(self, states: list[History]) -> None:
        """Remember histories; those that are one token shorter are remembered."""
        before = [self._memory[state[:-1]].columns if len(state) > 1 else () for state in states]
        past = torch.stack([column for columns in before for column in columns] + [self._nothing])
        lengths = torch.tensor([len(columns) for columns in before])
        places = torch.arange(int(lengths.max()))
        valid = places < lengths[:, None]  # (B, L)
        chosen = (places + (lengths.cumsum(0) - lengths)[:, None]).where(valid, torch.tensor(len(past) - 1))
        device = past.device
        features, columns = self.model.next(
            torch.tensor([state[-1] for state in states], device=device),
            lengths.to(device),
            past[chosen.to(device)],
            valid.to(device),
        )
        normalisers = self.model.logits(features).logsumexp(dim=1).tolist()
        rows = features.float().cpu().numpy()
        for at, state in enumerate(states):
            self._memory[state] = _Remembered((*before[at], columns[at]), rows[at], normalisers[at])
