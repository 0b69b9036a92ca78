"""`WaveformCNN` as matrix products, for a CPU and where no gradient is wanted: the same frames in less time.

Rows are frames and columns channels throughout. A convolution whose stride is s is a sum of products, one for
each s taps: s rows side by side are one row of the left factor, a view that copies nothing. The group norm
folds into the first convolution, because mean and variance of its output follow from those of its input
windows; after that nothing looks further than its own window, so time is cut into pieces that fit a cache.

Legend: T samples, F frames, C channels.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from noisewise.models.wav2vec2.waveform_cnn import ChannelNorm, MaskedGroupNorm, WaveformCNN, WaveformLayer

PIECE = 150
"""Frames of a piece: 3 s, 20 MB after the first layer."""


def suits(cnn: WaveformCNN, waveform: Tensor) -> bool:
    """Whether `latents` may stand in for `cnn`: float32, on a CPU, no gradient, nothing traced."""
    kinds = {(value.device.type, value.dtype) for value in (waveform, *cnn.parameters())}
    if kinds != {("cpu", torch.float32)} or torch.is_autocast_enabled("cpu"):
        return False
    gradient = torch.is_grad_enabled() and any(value.requires_grad for value in (waveform, *cnn.parameters()))
    return not (gradient or torch.compiler.is_compiling())


@torch.no_grad()
def latents(
    cnn: WaveformCNN, waveform: Tensor, lengths: Tensor, counted: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What `cnn(waveform, lengths, counted)` gives, one utterance after the other, its padding left out.

    Args:
        cnn: the layers.
        waveform: (B, T).
        lengths: valid samples. (B,)
        counted: samples that statistics over time are taken from; all valid ones if left out. (B, T) bool

    Returns:
        (B, F, C), zero past the valid frames (B,).
    """
    frames = cnn.frames(lengths)
    size = max(1, int(cnn.frames(torch.tensor(waveform.size(1)))))
    output = waveform.new_zeros(len(waveform), size, cnn.channels)
    layers: list[WaveformLayer] = list(cnn.layers)  # type: ignore[arg-type]
    weights = [layer.convolution.weight.permute(2, 1, 0).flatten(0, 1) for layer in layers]  # (taps * C_in, C)
    for row, (samples, count) in enumerate(zip(lengths.tolist(), frames.tolist(), strict=True)):
        where = None if counted is None else counted[row, :samples]
        for start, piece in _pieces(cnn, layers, weights, waveform[row, :samples], count, where):
            output[row, start : start + len(piece)] = piece
    return output, frames


def _pieces(
    cnn: WaveformCNN,
    layers: list[WaveformLayer],
    weights: list[Tensor],
    samples: Tensor,
    count: int,
    counted: Tensor | None,
) -> Iterator[tuple[int, Tensor]]:
    """Frames of one utterance, (F, C) each, with the number of the first. (T,)"""
    if count == 0:
        return
    first, bias = _first(layers[0], weights[0], samples, counted)
    for start in range(0, count, PIECE):
        end = min(start + PIECE, count)
        piece = samples[start * cnn.hop : (end - 1) * cnn.hop + cnn.receptive_field]
        yield start, _piece(layers, [first, *weights[1:]], bias, piece)


def _first(
    layer: WaveformLayer, weight: Tensor, samples: Tensor, counted: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Weight (taps, C) and bias (C,) of the first layer, its group norm folded in for this utterance.

    With m the mean and S the covariance of the windows, the output of channel w has mean w'm and variance w'Sw.
    """
    if not isinstance(layer.norm, MaskedGroupNorm):
        return weight, layer.convolution.bias
    windows = samples.unfold(0, layer.kernel, layer.stride)  # (F, taps)
    if counted is not None and not bool((where := layer.counted(counted[None])[0]).all()):
        windows = windows[where] if bool(where.any()) else windows
    windows = windows.double()
    centre = windows.mean(dim=0)
    windows = windows - centre
    covariance = windows.T @ windows / len(windows)  # (taps, taps)
    filters = weight.double()
    variance = (filters * (covariance @ filters)).sum(dim=0)  # (C,)
    scale = layer.norm.weight * (variance + layer.norm.eps).rsqrt()
    return (filters * scale).float(), (layer.norm.bias - centre @ filters * scale).float()


def _piece(layers: list[WaveformLayer], weights: list[Tensor], bias: Tensor | None, samples: Tensor) -> Tensor:
    """All layers over a piece of an utterance. (T,) -> (F, C)"""
    windows = samples.unfold(0, layers[0].kernel, layers[0].stride).contiguous()
    features = windows @ weights[0] if bias is None else torch.addmm(bias, windows, weights[0])
    features = _closed(layers[0], features)
    for layer, weight in zip(layers[1:], weights[1:], strict=True):
        features = _closed(layer, _convolved(layer, weight, features))
    return features


def _convolved(layer: WaveformLayer, weight: Tensor, rows: Tensor) -> Tensor:
    """The convolution of a layer, without a norm. (F_in, C_in), (taps * C_in, C) -> (F, C)"""
    (size, width), stride = rows.shape, layer.stride
    count = (size - layer.kernel) // stride + 1
    output: Tensor | None = None
    for tap in range(0, layer.kernel, stride):
        columns = min(stride, layer.kernel - tap) * width
        left = rows.as_strided((count, columns), (stride * width, 1), rows.storage_offset() + tap * width)
        right = weight[tap * width : tap * width + columns]
        output = torch.mm(left, right) if output is None else output.addmm_(left, right)
    assert output is not None
    return output if layer.convolution.bias is None else output.add_(layer.convolution.bias)


def _closed(layer: WaveformLayer, features: Tensor) -> Tensor:
    """The norm over channels, if the layer has one, and GELU. (F, C) -> (F, C)"""
    if isinstance(layer.norm, ChannelNorm):
        norm = layer.norm
        features = F.layer_norm(features, norm.weight.shape, norm.weight, norm.bias, norm.eps)
    return torch.ops.aten.gelu_(features)
