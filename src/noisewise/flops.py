"""What a model costs: parameters, and operations of one pass over a recording, module by module.

Operations are those of the layers as they are written, in evaluation, one recording at a time, on shapes alone:
no weight is read and nothing is computed. A pass ends where recognition does. Of a model that recognises nothing,
it is the encoder over one waveform, and the search for the nearest code where there is a codebook; quantizers and
what else serves losses alone count as parameters only.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from noisewise import models
from noisewise.errors import NoisewiseError
from noisewise.layers.attention import MultiHeadAttention
from noisewise.models.ctc import CTCConfig
from noisewise.models.lm import TransformerLM
from noisewise.models.pretrained import PretrainedConfig, settled
from noisewise.models.wav2code.codebook_learning import CodebookLearningConfig
from noisewise.models.wav2code.wav2code import Wav2CodeConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.ew2 import EW2Config
from noisewise.models.whisper.encoder import WhisperEncoderConfig
from noisewise.models.whisper.whisper import WhisperConfig

SAMPLE_RATE = 16_000
Convention = Literal["macs", "flops", "hook"]
CONVENTIONS: dict[str, str] = {
    "macs": "multiply-accumulates of every matrix product and convolution, those of attention included",
    "flops": "the same, counted twice: a multiplication and an addition each",
    "hook": "multiply-accumulates of linear maps and convolutions outside attention, as counters see them that are "
    "hooked on layers and miss functional calls",
}
"""What counts as an operation. Norms, activations and sums count nothing in any."""
SIZES: dict[str, Any] = {
    "wav2vec2-base": Wav2Vec2Config(),
    "ew2-base": EW2Config(),
    "ctc-base": CTCConfig(encoder=Wav2Vec2Config()),
    "codebook-base": CodebookLearningConfig(),
    "wav2code-base": Wav2CodeConfig(),
}
"""Named sizes: the encoder alone, EW2 with its quantizer, EW2 fine-tuned by CTC, stage 2, stage 3."""
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
"""What a counter hooks."""


@dataclass(frozen=True)
class Cost:
    """One module, its parts included."""

    name: str
    """Dotted name in the model; empty for the model itself."""
    parameters: int
    macs: int
    """All multiply-accumulates."""
    seen: int
    """Those of convention `hook`."""

    def operations(self, convention: Convention) -> int:
        """How many, as `CONVENTIONS` explains."""
        return {"macs": self.macs, "flops": 2 * self.macs, "hook": self.seen}[convention]


@dataclass(frozen=True)
class ModelCost:
    """A model over a recording of some length."""

    samples: int
    """Length of the recording in samples at 16 kHz."""
    frames: int
    """Frames of the encoder."""
    modules: tuple[Cost, ...]
    """The model itself first, then every module below it that has parameters or operations, in its own order."""

    @property
    def total(self) -> Cost:
        """The whole model."""
        return self.modules[0]

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / SAMPLE_RATE


def measure(config: Any, seconds: float) -> ModelCost:
    """Count a model that exists as shapes alone.

    Args:
        config: any of `noisewise.models.ModelConfig`, or of an encoder.
        seconds: length of the recording; attention makes the operations grow faster than it.

    Raises:
        NoisewiseError: so short a recording gives no frame; the model is a CAT, whose shapes depend on what it sees.
    """
    kind = models.model_type(type(config))
    if issubclass(kind, TransformerLM):
        raise NoisewiseError("`model.kind` must be a model of sound, whose operations are counted, but is lm instead")
    if issubclass(kind, models.Model) and not kind.has_static_shapes:
        raise NoisewiseError(
            f"`model.kind` must be one whose operations follow from shapes alone, but is {config.kind}; "
            "`benchmarks/cat_step.py` measures CAT"
        )
    samples = round(seconds * SAMPLE_RATE)
    if samples < SAMPLE_RATE // 40:
        raise NoisewiseError(f"`seconds` must be 0.025 or more, so that there is a frame, but is {seconds:g} instead")
    known = _without_source(config)
    lengths = torch.tensor([samples])
    with FakeTensorMode(allow_non_fake_inputs=True), sdpa_kernel(SDPBackend.MATH):
        one_pass = _Pass(known.build()).eval()
        # a gradient is asked for, so that no layer takes its short cut for use
        waveform = torch.zeros(1, samples, requires_grad=True)
        with _RealLengths(), FlopCounterMode(display=False) as counter:  # type: ignore[no-untyped-call]
            frames = one_pass(waveform, lengths)
    counts = {name: sum(ops.values()) // 2 for name, ops in counter.get_flop_counts().items()}
    return ModelCost(samples, frames, tuple(_costs(one_pass.model, counts)))


class _RealLengths(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lengths and masks hold numbers, for layers look at them; only what depends on the waveform is a shape."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute for real what has no shape without numbers among its arguments."""
        kwargs = kwargs or {}
        if any(isinstance(leaf, FakeTensor) for leaf in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        with unset_fake_temporarily():
            return func(*args, **kwargs)


class _Pass(nn.Module):
    """One pass as a module, for the counter to name all that is below it."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, waveform: Tensor, lengths: Tensor) -> int:
        """(1, T), (1,) -> frames"""
        model: Any = self.model
        if isinstance(model, models.Model):
            return int(model.inference_pass(waveform, lengths))
        return int(model(waveform, lengths).lengths)


def _without_source(config: Any) -> Any:
    """The configuration with the values that the source of a pre-trained encoder holds: no weights are read then."""
    if isinstance(config, PretrainedConfig):
        return settled(config)
    encoder = getattr(config, "encoder", None)
    if isinstance(config, WhisperEncoderConfig):
        return config.build().settled() if config.source else config
    if isinstance(encoder, WhisperEncoderConfig) and encoder.source:
        whole = isinstance(config, WhisperConfig)
        return config.build().config if whole else replace(config, encoder=encoder.build().settled())
    return replace(config, encoder=settled(encoder)) if isinstance(encoder, PretrainedConfig) else config


def _costs(model: nn.Module, counts: dict[str, int]) -> list[Cost]:
    """Every module's cost; a name of the counter begins with the pass and its `model`."""
    prefix = f"{_Pass.__name__}.model."
    called = {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}
    hooked = {name: called.get(name, 0) for name in _hooked(model)}
    found = []
    for name, module in model.named_modules():
        inside = f"{name}." if name else ""
        macs = _macs(module, name, called) if name else counts["Global"]
        seen = sum(count for layer, count in hooked.items() if layer == name or layer.startswith(inside))
        cost = Cost(name, sum(parameter.numel() for parameter in module.parameters()), macs, seen)
        if not name or cost.parameters or cost.macs:
            found.append(cost)
    return found


def _macs(module: nn.Module, name: str, called: dict[str, int]) -> int:
    """Operations of a module; a list of modules is never called, and has those of its parts."""
    if name in called:
        return called[name]
    return sum(_macs(part, f"{name}.{child}", called) for child, part in module.named_children())


def _hooked(model: nn.Module, name: str = "") -> list[str]:
    """Names of the layers that a counter hooks: none inside attention, whose maps are called as functions."""
    if _is_attention(model):
        return []
    if isinstance(model, LAYERS):
        return [name]
    return [
        layer for child, part in model.named_children() for layer in _hooked(part, f"{name}.{child}".lstrip("."))
    ]  # fmt: skip


def _is_attention(module: nn.Module) -> bool:
    kind = type(module)
    in_transformers = kind.__module__.startswith("transformers.") and kind.__name__.endswith("Attention")
    return isinstance(module, MultiHeadAttention | nn.MultiheadAttention) or in_transformers
