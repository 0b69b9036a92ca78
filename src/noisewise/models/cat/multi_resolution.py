"""The Multi-resolution Block of CAT: several granularities of one spectrogram, summed into the same tokens.

Legend: N chosen patches, p frames and bins of a patch, s cells along a side of a patch, C channels, D width.
"""

from torch import Tensor, nn

from noisewise.models.cat.masked_depthwise import MaskedDepthwiseBlock
from noisewise.models.cat.patch import Grid, PatchConvolution


class MultiResolutionBlock(nn.Module):
    """Strided convolutions with masked depth-wise blocks between; every scale goes to the tokens (CAT).

    A stage of stride r sees cells of r frames by r bins. All but the last stage have blocks, and a skip that takes
    their cells to the tokens directly; the last stage, one cell a patch, goes through a linear map. The tokens
    are the plain sum. Apart from the blocks nothing looks past its own patch.
    """

    def __init__(self, strides: tuple[int, ...], channels: tuple[int, ...], dim: int, blocks: int = 2, kernel: int = 5):
        """Set the stages.

        Args:
            strides: of the stages, each a multiple of the one before; the last is the size of a patch.
            channels: of the stages; the last is `dim`.
            dim: width of the tokens (D).
            blocks: masked depth-wise blocks in every stage but the last.
            kernel: taps along a side of the depth-wise convolutions, odd.
        """
        super().__init__()
        _check(strides, channels, dim, kernel)
        self.size = strides[-1]
        self.entrances = nn.ModuleList(
            PatchConvolution(inputs, outputs, stride // before)
            for inputs, outputs, before, stride in zip((1, *channels), channels, (1, *strides), strides, strict=False)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in channels)
        self.blocks = nn.ModuleList(
            nn.ModuleList(MaskedDepthwiseBlock(width, kernel) for _ in range(blocks)) for width in channels[:-1]
        )
        self.skips = nn.ModuleList(
            PatchConvolution(width, dim, self.size // stride)
            for width, stride in zip(channels[:-1], strides[:-1], strict=True)
        )
        self.projection = nn.Linear(channels[-1], dim)
        for entrance in self.entrances:
            nn.init.xavier_uniform_(entrance.weight)  # type: ignore[arg-type]

    def forward(self, patches: Tensor, index: Tensor, grid: Grid) -> Tensor:
        """Tokens of chosen patches, as if the others were masked.

        Args:
            patches: (N, p, p).
            index: of the patches in the flattened grid. (N,)
            grid: the grid of patches.

        Returns:
            (N, D).
        """
        cells = patches.unsqueeze(3)  # (N, p, p, 1)
        tokens: list[Tensor] = []
        for stage, (entrance, norm) in enumerate(zip(self.entrances, self.norms, strict=True)):
            cells = norm(entrance(cells))  # (N, s, s, C)
            if stage < len(self.skips):
                for block in self.blocks[stage]:  # type: ignore[attr-defined]
                    cells = block(cells, index, grid)
                tokens.append(self.skips[stage](cells).flatten(1))
        return sum(tokens, start=self.projection(cells.flatten(1)))


def _check(strides: tuple[int, ...], channels: tuple[int, ...], dim: int, kernel: int) -> None:
    rising = all(low < high and high % low == 0 for low, high in zip((1, *strides), strides, strict=False))
    if not strides or not rising or len(channels) != len(strides) or channels[-1] != dim:
        raise ValueError(
            "`strides` must rise, each a multiple of the one before, and `channels` must be as many, the last equal to "
            f"`dim`, but are {strides}, {channels} and {dim} instead"
        )
    if kernel % 2 == 0:
        raise ValueError(f"`kernel` must be odd, but is {kernel} instead; take {kernel + 1}")
