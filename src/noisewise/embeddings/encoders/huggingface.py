"""Audio encoders of transformers (extra `hf`): AST, CLAP, wav2vec 2.0, HuBERT, WavLM, data2vec and others.

Extractor and model are called as transformers calls them for one clip; only what has the same shape runs together, so
nothing is padded but what a family itself pads to its window (AST, CLAP). Weights are safetensors, code is
that of transformers alone, and a folder is read offline.
"""

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noisewise.embeddings.encoders import huggingface_families
from noisewise.embeddings.encoders.protocol import Encoding, FrozenEncoder
from noisewise.errors import ModelError

AT_ONCE = 16
"""Clips, or parts of clips, that go through a model together at most."""


class HuggingFaceEncoder(FrozenEncoder):
    """A model of transformers and its feature extractor."""

    def __init__(self, name: str, model: Any, extractor: Any, weights_sha256: str | None, device: str) -> None:
        import transformers

        self.name, self.weights_sha256, self.device = name, weights_sha256, device
        self.extractor, self.model = extractor, huggingface_families.encoder_of(model).to(device).eval()
        self.sample_rate = int(extractor.sampling_rate)
        self.window = huggingface_families.window(model.config.model_type, extractor)
        self.pooling = "pooler" if model.config.model_type in huggingface_families.POOLED else "mean"
        self.details = {"architecture": type(model).__name__, "transformers": transformers.__version__}
        self.accepted = set(inspect.signature(self.model.forward).parameters)

    def encode(self, clips: Sequence[Tensor]) -> list[Encoding]:
        """Encode clips of the same shape together, each as if it were alone."""
        inputs = [self._inputs(clip) for clip in clips]
        found: dict[int, Encoding] = {}
        for places in _alike(inputs):
            batch = {key: torch.cat([inputs[place][key] for place in places]) for key in inputs[places[0]]}
            output = self.model(**{key: value.to(self.device) for key, value in batch.items()})
            for row, place in enumerate(places):
                mask = batch["attention_mask"][row] if "attention_mask" in batch else None
                samples = len(clips[place])
                found[place] = huggingface_families.encoding(self.model.config, output, row, samples, self.window, mask)
        return [found[place] for place in range(len(clips))]

    def _inputs(self, clip: Tensor) -> dict[str, Tensor]:
        """What the extractor makes of one clip, as the model takes it. (1, ...) each"""
        try:
            made = self.extractor(clip.numpy(), sampling_rate=self.sample_rate, return_tensors="pt")
        except (ValueError, AssertionError, IndexError) as error:
            raise ModelError(
                f"a clip must suit the extractor of `{self.name}`, but {len(clip)} samples do not: {error}"
            ) from error
        kept = {key: torch.as_tensor(value) for key, value in made.items() if key in self.accepted}
        return {key: value.float() if value.is_floating_point() else value for key, value in kept.items()}


def load(name: str, folder: Path, device: str = "cpu") -> HuggingFaceEncoder:
    """Read a folder of transformers.

    Raises:
        ModelError: it is no whole model of a known family with its extractor.
    """
    import transformers

    makers: Any = transformers
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _quiet(makers.utils.logging):
            extractor = makers.AutoFeatureExtractor.from_pretrained(folder, **options)
            config = makers.AutoConfig.from_pretrained(folder, **options)
            maker = getattr(makers, huggingface_families.CLASSES.get(config.model_type, "AutoModel"))
            model, report = maker.from_pretrained(folder, use_safetensors=True, output_loading_info=True, **options)
    except Exception as error:  # what transformers raises at a wrong file is open
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"`{folder}` must be an audio encoder of transformers with its extractor, but cannot be loaded: {reason}"
        ) from error
    missing = sorted(key for key in report["missing_keys"] if not key.endswith(huggingface_families.UNUSED))
    if missing:
        raise ModelError(f"`{folder}` must hold every weight, but lacks `{missing[0]}`; download it whole")
    return HuggingFaceEncoder(name, model, extractor, _digest(folder), device)


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Without the reports of transformers on heads that are left out, which are meant to be."""
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _alike(inputs: Sequence[dict[str, Tensor]]) -> Iterator[list[int]]:
    """Places of inputs of equal shapes, at most `AT_ONCE` together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, tensors in enumerate(inputs):
        groups.setdefault(tuple((key, tuple(value.shape)) for key, value in tensors.items()), []).append(place)
    for places in groups.values():
        yield from (places[start : start + AT_ONCE] for start in range(0, len(places), AT_ONCE))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
