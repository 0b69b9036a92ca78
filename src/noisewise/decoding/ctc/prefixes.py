"""The prefixes that a search has seen, as a trie of numbered nodes: a token sequence has one number, always.

Legend: N nodes, V tokens.
"""

import numpy as np
import torch
from torch import Tensor

NOWHERE = 0
"""The parent of the empty prefix, and of what is no prefix."""
DEAD = 1
"""The node of what is no prefix: empty places of a beam."""
FIRST = 2
"""The node of the empty prefix of the first utterance."""
ROOM = 20_000
"""Nodes for which there is room before those that no living prefix begins with are dropped."""


class PrefixTrie:
    """Nodes of all utterances of a batch; the empty prefix of utterance i is node FIRST + i.

    A prefix that leaves the beam and comes back gets its old number, as long as a longer one that begins with it is
    known; so equal prefixes are found by comparing numbers, and merging is exact.
    """

    def __init__(self, utterances: int, tokens: int, device: torch.device | str = "cpu"):
        self.size = self._roots = self._kept = FIRST + utterances
        """One more than the largest number given so far."""
        self._tokens = tokens
        room = max(1024, 2 * self.size)
        self._links = torch.zeros(2, room, dtype=torch.long, device=device)  # parent, last token
        self._children = torch.zeros(room, tokens, dtype=torch.int32, device=device)  # (N, V), 0 for none
        self._places = torch.full((room,), -1, dtype=torch.long, device=device)

    def extend(self, parents: Tensor, tokens: Tensor) -> Tensor:
        """Nodes of prefixes with one more token; no two of them are equal. (n,), (n,) -> (n,)"""
        self._make_room(len(parents))
        children = self._children.view(-1)
        keys = torch.add(tokens, parents, alpha=self._tokens)
        found = children.take(keys).long()
        is_new = found == 0
        numbers = is_new.cumsum(0)
        nodes = torch.where(is_new, numbers + (self.size - 1), found)
        children.index_copy_(0, keys, nodes.int())
        self._links[0].index_copy_(0, nodes, parents)
        self._links[1].index_copy_(0, nodes, tokens)
        self.size += int(numbers[-1]) if len(numbers) else 0
        return nodes

    def find(self, nodes: Tensor, wanted: Tensor) -> Tensor:
        """Where in the flattened `nodes` those that are wanted stand; -1 for nowhere. (B, K), (B, K) -> (B, K)"""
        flat = nodes.reshape(-1)
        self._places.index_copy_(0, flat, torch.arange(len(flat), device=flat.device))
        found = self._places.take(wanted)
        self._places.index_fill_(0, flat, -1)
        return found

    def tokens_of(self, node: int) -> list[int]:
        """Tokens of a prefix."""
        (parents, tokens), found = self._links.cpu().numpy(), []
        while node >= self._roots:
            found.append(int(tokens[node]))
            node = int(parents[node])
        return found[::-1]

    def forget(self, living: Tensor) -> Tensor:
        """Drop what none of the living prefixes begins with, when it has become much; the others are renumbered.

        Args:
            living: nodes. (2, B, K)

        Returns:
            Their new numbers. (2, B, K)
        """
        if self.size < 2 * self._kept + ROOM:
            return living
        parents = self._links[0].cpu().numpy()
        kept = np.zeros(self.size, bool)
        kept[: self._roots] = True
        at = np.unique(living.cpu().numpy())
        while len(at := at[~kept[at]]):
            kept[at] = True
            at = np.unique(parents[at])
        renumbered = torch.from_numpy(np.cumsum(kept) - 1).to(living.device)
        chosen = torch.from_numpy(kept.nonzero()[0]).to(living.device)
        links = self._links[:, chosen]
        links[0] = renumbered[links[0]]
        self.size = self._kept = len(chosen)
        self._links, self._children = torch.zeros_like(self._links), torch.zeros_like(self._children)
        self._links[:, : self.size] = links
        parents_of, tokens_of = links[:, self._roots :]
        self._children[parents_of, tokens_of] = torch.arange(
            self._roots, self.size, dtype=torch.int32, device=living.device
        )
        return renumbered[living]

    def _make_room(self, count: int) -> None:
        room = len(self._places)
        if self.size + count > room:
            more = max(room, count)
            self._links = torch.cat((self._links, self._links.new_zeros(2, more)), dim=1)
            self._children = torch.cat((self._children, self._children.new_zeros(more, self._tokens)))
            self._places = torch.cat((self._places, self._places.new_full((more,), -1)))
