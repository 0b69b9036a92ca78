"""HuBERT, WavLM, data2vec and XLS-R as encoders, through transformers (extra `hf`).

Legend: B utterances, T samples, F frames, D width.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from noisewise import hub
from noisewise.audio.silence import counted_samples
from noisewise.config import TRAINING_ONLY, config
from noisewise.errors import ModelError
from noisewise.files import read_json
from noisewise.layers.span_masking import span_where
from noisewise.models.encoder import Encoder, EncoderOutput

EXTRACTORS = ("processor_config.json", "preprocessor_config.json")
"""Files that may hold the values of the feature extractor: transformers 5 writes the first, those before the second."""
FAMILIES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
"""Model types that are known to work; XLS-R is of type wav2vec2."""


@config
class PretrainedConfig:
    """An encoder of transformers."""

    kind: Literal["pretrained"] = "pretrained"
    source: Annotated[str, TRAINING_ONLY] = ""
    """A folder with config.json and model.safetensors, or hf:ORGANISATION/NAME@REVISION; where training begins."""
    architecture: dict[str, Any] | None = None
    """The values of config.json; read from the source if left out, and written into every released model."""
    normalise: bool | None = None
    """Whether waveforms are brought to mean 0 and variance 1; the value of the feature extractor if left out."""
    freeze_convolutions: Annotated[bool, TRAINING_ONLY] = True
    """Whether the convolutions stay as they are, as in fairseq's fine-tuning."""
    time_mask_probability: Annotated[float, TRAINING_ONLY] = 0.0
    """Frames replaced in training by the mask embedding, before overlaps (fine-tuning on 100 h: 0.65)."""
    time_mask_span: Annotated[int, TRAINING_ONLY] = 10
    """Frames in a time mask."""

    def build(self) -> "PretrainedEncoder":
        """The encoder, randomly initialised."""
        return PretrainedEncoder(self)


class PretrainedEncoder(Encoder):
    """A model of transformers behind our interface.

    Utterances go through it one by one, at their own length: padding changes the features of group-norm models,
    whatever mask they are given, and of data2vec, whose positions are five convolutions deep. transformers' own
    masking is off: it draws from numpy, and a resumed run would not repeat it.
    """

    def __init__(self, config: PretrainedConfig):
        super().__init__()
        self.config, self.model = _built(config)
        settings: Any = self.model.config
        self.dim = int(settings.hidden_size)
        self.hop = math.prod(settings.conv_stride)
        self.kernels = tuple(zip(settings.conv_kernel, settings.conv_stride, strict=True))
        if config.freeze_convolutions:
            freeze: Any = self.model.feature_extractor
            freeze._freeze_parameters()

    def settled(self) -> PretrainedConfig:
        """The configuration with what its source holds written out."""
        return self.config

    def frames(self, samples: int) -> int:
        """How many frames so many samples give."""
        for kernel, stride in self.kernels:
            samples = max(0, (samples - kernel) // stride + 1)
        return samples

    def forward(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """(B, T), (B,) -> features (B, F, D), zero past their lengths (B,)."""
        counts = [self.frames(samples) for samples in lengths.tolist()]
        size = max(1, self.frames(waveform.size(1)))
        rows = []
        for row, (samples, count) in enumerate(zip(lengths.tolist(), counts, strict=True)):
            found = self._alone(waveform[row : row + 1, :samples]) if count else waveform.new_zeros(0, self.dim)
            rows.append(nn.functional.pad(found, (0, 0, 0, size - count)))
        return EncoderOutput(torch.stack(rows), torch.tensor(counts, device=lengths.device))

    def _alone(self, samples: Tensor) -> Tensor:
        """One utterance. (1, T) -> (F, D)"""
        if self.config.normalise:
            length = torch.tensor([samples.size(1)], device=samples.device)
            sounding = samples[counted_samples(samples, length)]  # silence is no part of the statistics
            samples = (samples - sounding.mean()) / (sounding.var(correction=0) + 1e-7).sqrt()
        where = None
        if self.training and self.config.time_mask_probability > 0:
            frames = self.frames(samples.size(1))
            where = span_where(
                torch.tensor([frames], device=samples.device),
                frames,
                self.config.time_mask_probability,
                self.config.time_mask_span,
                least=2,
            )
        return self.model(samples, mask_time_indices=where).last_hidden_state[0]


def settled(config: PretrainedConfig) -> PretrainedConfig:
    """The configuration with all that its source says, so that the source is needed no more.

    Raises:
        ModelError: there is no source, or it is not one of these encoders.
    """
    if config.architecture is not None:
        return config if config.normalise is not None else replace(config, normalise=False)
    folder = _folder(config.source)
    architecture = _json(folder / "config.json")
    extractor = extractor_values({name: _json(folder / name) for name in EXTRACTORS if (folder / name).is_file()})
    given = False if extractor is None else bool(extractor.get("do_normalize", True))
    normalise = given if config.normalise is None else config.normalise
    return replace(config, architecture=architecture, normalise=normalise)


def extractor_values(files: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The values of the feature extractor in the files of a folder, in the order in which transformers looks for them.

    Args:
        files: names, `EXTRACTORS` among them where they are there, to content.

    Returns:
        The values; None where no file has any.
    """
    nested = files.get("processor_config.json", {}).get("feature_extractor")
    return nested if isinstance(nested, Mapping) else files.get("preprocessor_config.json")


def _built(config: PretrainedConfig) -> tuple[PretrainedConfig, nn.Module]:
    """The settled configuration and its model: with the source's weights if it was read, else at random."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import transformers

    known = settled(config)
    values = dict(known.architecture or {})
    family = values.pop("model_type", None)
    if family == "whisper":
        raise ModelError(
            "`encoder` must be of another kind for Whisper: write `kind: whisper` in the place of `kind: pretrained`, "
            "with the same `source`"
        )
    if family not in FAMILIES or values.get("add_adapter"):
        raise ModelError(f"`encoder` must be one of {', '.join(FAMILIES)} without an adapter, but is {family} instead")
    values = {name: value for name, value in values.items() if name not in ("dtype", "torch_dtype")}  # float32 here
    values |= {"mask_time_prob": 0.05, "mask_feature_prob": 0.0}  # without the first there is no mask embedding
    makers: Any = transformers
    try:
        settings = makers.AutoConfig.for_model(family, **values)
        if config.architecture is not None:
            model = makers.AutoModel.from_config(settings)
        else:
            folder = _folder(config.source)
            model, report = makers.AutoModel.from_pretrained(
                folder, config=settings, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            _must_be_whole(folder, report)
            model = model.float()
    except ModelError:
        raise
    except Exception as error:  # what transformers raises at a wrong value is open
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"`encoder` must be a model of transformers, but cannot be built: {reason}") from error
    model.config.mask_time_prob = 0.0
    return known, model


def _must_be_whole(folder: Path, report: Any) -> None:
    missing = sorted(name for name in report["missing_keys"] if not name.endswith("masked_spec_embed"))
    if missing:
        raise ModelError(f"`{folder}` must hold every weight, but lacks `{missing[0]}`; download it whole")


def _folder(source: str) -> Path:
    if source.startswith(hub.PREFIX):
        return hub.fetch(source)
    if not source or not (Path(source) / "config.json").is_file():
        raise ModelError(
            "`encoder.source` must be a folder with config.json and model.safetensors, or "
            f"hf:ORGANISATION/NAME@REVISION, but is '{source}' instead"
        )
    return Path(source)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"`{path}` must be JSON, but is not: {error}") from error
    if not isinstance(values, dict):
        raise ModelError(f"`{path}` must hold names and values, but does not")
    return values
