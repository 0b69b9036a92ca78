"""Product quantization with Gumbel softmax (wav2vec 2.0, Sec. 2 and Eq. 1).

Legend: n frames, C width of the frames, G groups, V entries of a group, Q width of the quantized frames.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Quantized:
    """What the quantizer makes of some frames."""

    vectors: Tensor
    """The chosen entries of all groups, side by side. (n, Q)"""
    ids: Tensor
    """The chosen entry of each group. (n, G) int64"""
    probabilities: Tensor
    """softmax of the logits, without noise or temperature. (n, G, V)"""


class GumbelQuantizer(nn.Module):
    """Chooses one entry of each group for every frame; gradients pass straight through the choice."""

    def __init__(self, dim: int, groups: int = 2, entries: int = 320, width: int = 256):
        super().__init__()
        if width % groups:
            raise ValueError(f"`width` must be a multiple of `groups`, but is {width} with {groups} groups instead")
        self.groups, self.size = groups, entries
        self.logits = nn.Linear(dim, groups * entries)
        nn.init.normal_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        self.entries = nn.Parameter(torch.rand(groups, entries, width // groups))

    def forward(self, features: Tensor, temperature: float) -> Quantized:
        """Quantize frames.

        In training entries are drawn by Gumbel softmax at `temperature`, hard, straight through; in evaluation
        the most probable entry is taken. What follows the logits is computed in float32.

        Args:
            features: (n, C).
            temperature: of the Gumbel softmax.
        """
        logits = self.logits(features).float().unflatten(-1, (self.groups, self.size))  # (n, G, V)
        if self.training:
            weights = F.gumbel_softmax(logits, tau=temperature, hard=True)
        else:
            weights = F.one_hot(logits.argmax(dim=-1), self.size).to(logits.dtype)
        with torch.autocast(features.device.type, enabled=False):
            vectors = torch.einsum("ngv,gvw->ngw", weights, self.entries.float()).flatten(1)
        return Quantized(vectors, weights.argmax(dim=-1), logits.softmax(dim=-1))


def entry_perplexity(probabilities: Tensor) -> Tensor:
    """exp of the entropy of the mean distribution, summed over groups: entries in use. (n, G, V) -> ()

    Of no frames at all it is G.
    """
    mean = probabilities.sum(dim=0) / max(len(probabilities), 1)
    return torch.exp(-torch.sum(mean * torch.log(mean + 1e-7), dim=-1)).sum()
