"""The prefixes that a search has seen, as a trie of numbered nodes: a token sequence has one number, always."""

from collections.abc import Iterable, Sequence

NOWHERE = 0
"""The parent of the empty prefix, and of what is no prefix."""
DEAD = 1
"""The node of what is no prefix: empty places of a beam."""
FIRST = 2
"""The node of the empty prefix of the first utterance."""


class Prefixes:
    """Nodes of all utterances of a batch; the empty prefix of utterance i is node FIRST + i.

    A prefix that leaves the beam and comes back gets its old number, as long as a longer one that begins with it is
    known; so equal prefixes are found by comparing numbers, and merging is exact.
    """

    def __init__(self, utterances: int, tokens: int):
        self._tokens = tokens
        self._children: dict[int, int] = {}  # parent * tokens + token -> node
        self._keys: dict[int, int] = {}  # node -> its key above
        self.size = FIRST + utterances
        """One more than the largest number given so far."""
        self._kept = 0

    def extend(self, parents: Sequence[int], tokens: Sequence[int]) -> list[int]:
        """Nodes of prefixes with one more token."""
        children, keys, size, nodes = self._children, self._keys, self.size, []
        for parent, token in zip(parents, tokens, strict=True):
            key = parent * self._tokens + token
            node = children.get(key)
            if node is None:
                node = children[key] = size
                keys[size] = key
                size += 1
            nodes.append(node)
        self.size = size
        return nodes

    def spell(self, node: int) -> list[int]:
        """Tokens of a prefix."""
        tokens = []
        while node in self._keys:
            node, token = divmod(self._keys[node], self._tokens)
            tokens.append(token)
        return tokens[::-1]

    def forget(self, living: Iterable[int]) -> None:
        """Drop what none of the living prefixes begins with, when it has become much; numbers stay."""
        if len(self._keys) < 2 * self._kept + 10_000:
            return
        keep: set[int] = set()
        for node in living:
            while node in self._keys and node not in keep:
                keep.add(node)
                node = self._keys[node] // self._tokens
        self._keys = {node: self._keys[node] for node in sorted(keep)}
        self._children = {key: node for node, key in self._keys.items()}
        self._kept = len(keep)
