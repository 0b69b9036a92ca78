"""A released model is a folder: `config.json`, `model.safetensors`, `tokens.txt`, `README.md` (its card).

A model of subwords has `tokens.json` in the place of `tokens.txt`, and a tagger has `labels.txt`, one class a line. A
model that gives no tokens yet (pre-training, a codebook) is the same folder without them.

`locate` finds a model and states its layout; `load` and `load_tagger` make a model ready for inference,
`load_stored` makes one of any kind ready for the next stage of training, and `save` writes the folder.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, overload

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import noisewise
from noisewise import hub
from noisewise.checkpoints import foreign, shapes
from noisewise.config import dump, parse
from noisewise.errors import ModelError
from noisewise.files import read_json, replaced_folder
from noisewise.models import AcousticConfig, AcousticModel, AnyModel, Model, ModelConfig, build, settled
from noisewise.models.cat.tagger import CATTagger, CATTaggerConfig
from noisewise.models.lm import TransformerLM
from noisewise.models.whisper.encoder import WhisperEncoderConfig
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.models.whisper.whisper import Whisper, WhisperConfig
from noisewise.text import subword
from noisewise.text.tokenizer import CharacterTokenizer, Tokenizer
from noisewise.text.vocabulary import Vocabulary

FORMAT = "noisewise-model-1"
CONFIG, WEIGHTS, LABELS = "config.json", "model.safetensors", "labels.txt"
"""Files of a model folder."""
Precision = Literal["float32", "float16", "int8"]
"""Type of stored weights: int8 of matrices and convolutions, with a scale for each row of outputs."""
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
SCALE = ".scale_of_int8"
"""End of the name of the scales of a weight in int8: what its rows are multiplied by. (R,) float32"""
KNOWN_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.bool)
"""Types of tensors, beside int8 with scales, that a file may hold."""
SECONDS = ("window_seconds", "lead_seconds", "trail_seconds")
"""Values of config.json, beside the model, that recognition uses."""
BOX = Path(noisewise.__file__).parent / "assets" / "box"
"""Folder of the model that comes with the package."""
M = TypeVar("M", bound=torch.nn.Module)


@dataclass(frozen=True)
class Located:
    """Where a model is, and in whose layout."""

    path: Path
    """A folder, or the file of a fairseq checkpoint."""
    layout: Literal["noisewise", "transformers", "ctranslate2", "fairseq"]

    @property
    def is_foreign(self) -> bool:
        """Whether `noisewise.checkpoints.foreign` reads it."""
        return self.layout != "noisewise"

    @property
    def weight_files(self) -> list[Path]:
        """The files with the weights, in their order."""
        return foreign.weight_files(self.path) if self.is_foreign else [self.path / WEIGHTS]


@dataclass(frozen=True)
class LoadedRecogniser:
    """A recogniser ready for inference, and what came with it."""

    model: AcousticModel
    """The model in evaluation mode, float32."""
    config: AcousticConfig
    tokenizer: Tokenizer
    folder: Path
    """The model folder, or the path of the foreign checkpoint."""
    about: dict[str, Any]
    """The whole of config.json."""
    pieces: WhisperTokenizer | None = None
    """The tokenizer of the decoder of a Whisper; None of any other model."""


@dataclass(frozen=True)
class LoadedTagger:
    """A tagger ready for inference, and what came with it."""

    model: CATTagger
    """The model in evaluation mode, float32."""
    config: CATTaggerConfig
    labels: list[str]
    """Names of the classes, in the order of the logits."""
    folder: Path
    about: dict[str, Any]
    """The whole of config.json."""


@dataclass(frozen=True)
class StoredModel:
    """Configuration and weights of a model folder of any kind, from which the next stage of training starts."""

    config: Any
    """Configuration of the model, one of `ModelConfig`."""
    weights: dict[str, torch.Tensor]
    """Names to tensors, float32."""
    folder: Path

    @overload
    def model(self) -> Model: ...

    @overload
    def model(self, wanted: type[M]) -> M: ...

    def model(self, wanted: type[M] | None = None) -> Model | M:
        """The model, in evaluation mode.

        Args:
            wanted: the class that it must be of; any model of audio if left out.

        Raises:
            ModelError: it is another kind of model, or the weights do not fit.
        """
        empty = shapes.build(lambda: build(self.config), self.weights, self.folder / CONFIG, ModelError)
        _must_fit(empty, self.weights, self.folder / WEIGHTS)
        model = build(self.config)
        model.load_state_dict(self.weights)
        model = model.eval()
        if wanted is not None:
            if isinstance(model, wanted):
                return model
            what = "a language model" if wanted is TransformerLM else f"a {wanted.__name__}"
            raise ModelError(f"`{self.folder}` must hold {what}, but holds a model of kind {self.config.kind}")
        if isinstance(model, TransformerLM):
            raise ModelError(f"`{self.folder}` must hold a model of audio, but holds a language model (for --lm)")
        return model


def locate(name: str | Path) -> Located:
    """Find a model.

    Args:
        name: a path, `box` for the model that comes with the package, or `hf:ORG/NAME@REVISION`, which alone uses the
            network.

    Raises:
        ModelError: there is no model; the message says what is missing.
    """
    if str(name).startswith(hub.PREFIX):
        path = hub.fetch(str(name))
        return Located(path, foreign.layout_of(path) or "noisewise")
    path = BOX if str(name) == "box" else Path(name)
    if layout := foreign.layout_of(path):
        return Located(path, layout)
    missing = [file for file in (CONFIG, WEIGHTS) if not (path / file).is_file()]
    if missing:
        raise ModelError(
            f"`{name}` must be 'box' or the folder of a model, but "
            f"{'there is no such folder' if not path.is_dir() else 'lacks ' + ', '.join(missing)}; check the path"
        )
    return Located(path, "noisewise")


def is_whisper(located: Located) -> bool:
    """Whether it is a public Whisper, of transformers or of CTranslate2."""
    if located.layout != "transformers":
        return located.layout == "ctranslate2"
    try:
        return bool(read_json(located.path / CONFIG)["model_type"] == "whisper")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load(name: str | Path = "box", device: str | torch.device = "cpu") -> LoadedRecogniser:
    """Read a recogniser: a model folder, or a CTC model of transformers or fairseq.

    Raises:
        ModelError: the folder, its configuration or its weights cannot be used.
        InteropError: the same of a foreign checkpoint.
    """
    located = locate(name)
    if is_whisper(located):
        return _foreign_whisper(located.path, device)
    if located.is_foreign:
        return _foreign_ctc(located.path, device)
    folder, (stored, about) = located.path, _read(located.path)
    model = stored.model()
    if isinstance(model, CATTagger):
        raise ModelError(f"`{name}` must hold a recogniser, but holds a tagger, which gives labels, not text")
    if not isinstance(model, AcousticModel):
        raise ModelError(
            f"`{name}` must hold a recogniser, but holds a model of kind {stored.config.kind}; fine-tune it first: "
            "`start_from` in a recipe takes it as it is"
        )
    pieces = None
    if isinstance(model, Whisper):
        pieces = WhisperTokenizer.load(folder)
        if not model.has_head:
            return LoadedRecogniser(model.to(device), stored.config, CharacterTokenizer(), folder, about, pieces)
    if not subword.is_in(folder):
        raise ModelError(f"`{name}` must hold tokens.txt or tokens.json, but lacks them; copy the folder whole")
    tokenizer = subword.load(folder)
    if len(tokenizer) != stored.config.vocabulary:
        raise ModelError(
            f"`{folder / tokenizer.FILE}` must hold {stored.config.vocabulary} tokens, but holds {len(tokenizer)} "
            "instead"
        )
    return LoadedRecogniser(model.to(device), stored.config, tokenizer, folder, about, pieces)


def load_tagger(name: str | Path, device: str | torch.device = "cpu") -> LoadedTagger:
    """Read the model folder of a tagger.

    Raises:
        ModelError: the folder, its configuration, weights or labels cannot be used.
    """
    stored, about = _read(_own(name))
    if not isinstance(stored.config, CATTaggerConfig):
        raise ModelError(
            f"`{name}` must hold a tagger, but holds a model of kind {stored.config.kind}; train one with "
            "task.kind=tagging"
        )
    path = stored.folder / LABELS
    labels = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if len(labels) != stored.config.classes:
        raise ModelError(
            f"`{path}` must name {stored.config.classes} classes, one a line, but names {len(labels)}; "
            "copy the folder whole"
        )
    return LoadedTagger(stored.model(CATTagger).to(device), stored.config, labels, stored.folder, about)


def load_stored(name: str | Path) -> StoredModel:
    """Read a model folder of any kind.

    Raises:
        ModelError: the folder, its configuration or its weights cannot be used.
    """
    return _read(_own(name))[0]


def load_config(name: str | Path) -> Any:
    """The configuration of a model folder, of a public Whisper, or of the encoder of another foreign checkpoint.

    Raises:
        ModelError: the folder or its configuration cannot be used.
        InteropError: the same of a foreign checkpoint.
    """
    located = locate(name)
    if not located.is_foreign:
        return _read_config(located.path)[0]
    checkpoint = foreign.read(located.path)
    return checkpoint.whisper_config() or checkpoint.config


def _own(name: str | Path) -> Path:
    """The path of a folder that noisewise wrote."""
    located = locate(name)
    if located.is_foreign:
        raise ModelError(f"`{name}` must be a folder that noisewise wrote, but is a checkpoint of {located.layout}")
    return located.path


def _read(folder: Path) -> tuple[StoredModel, dict[str, Any]]:
    """What is stored in a folder, and the whole of config.json."""
    config, about = _read_config(folder)
    path = folder / WEIGHTS
    try:
        weights = _widened(load_file(path), path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"`{path}` must be a safetensors file, but cannot be read: {error}") from error
    return StoredModel(config, weights, folder), about


def _read_config(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The configuration of the model, and the whole of config.json."""
    path = folder / CONFIG
    try:
        about = read_json(path)
        config = parse(cast(Any, ModelConfig), about["model"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:500]
        raise ModelError(f"`{path}` must describe a model, but does not: {reason}") from error
    for name in SECONDS:
        value = about.get(name, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ModelError(f"`{name}` must be seconds, 0 or more, but is {value!r:.80} instead; mend `{path}`")
    return config, about


def save(
    folder: str | Path,
    model: AnyModel,
    config: Any,
    tokenizer: Tokenizer | Vocabulary | None,
    *,
    card: str,
    about: dict[str, Any] | None = None,
    precision: Precision = "float32",
    labels: Sequence[str] = (),
    pieces: WhisperTokenizer | None = None,
) -> Path:
    """Write a model folder whole or not at all.

    Args:
        folder: where it is written; an old model there is replaced.
        model: what is saved.
        config: its configuration, one of `ModelConfig`.
        tokenizer: its tokens, or those of a language model; None for a model without any.
        card: the text of README.md.
        about: further plain values for config.json (version, metrics, the recipe).
        precision: type of the weights in the file; `load` gives float32 again. float16 is half the size; int8 a
            quarter: matrices and convolutions in steps of 1/127 of the largest value of each row of outputs, vectors
            in float32, the rest in float16.
        labels: names of the classes of a tagger, in the order of its logits.
        pieces: tokens of the decoder of a Whisper.

    Raises:
        ModelError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"`precision` must be one of {', '.join(PRECISIONS)}, but is '{precision:.80}' instead")
    folder = Path(folder)
    with replaced_folder(folder) as temporary:
        values = {"format": FORMAT, "model": dump(settled(config, model)), **(about or {})}
        (temporary / CONFIG).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        save_file(_narrowed(model.state_dict(), precision), temporary / WEIGHTS, metadata={"format": FORMAT})
        (temporary / WEIGHTS).chmod(0o644)  # written readable by its owner alone
        if tokenizer is not None:
            tokenizer.save(temporary / tokenizer.FILE)
        if pieces is not None:
            pieces.save(temporary / pieces.FILE)
        if labels:
            (temporary / LABELS).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        (temporary / "README.md").write_text(card, encoding="utf-8")
    return folder


def weights_hash(name: str | Path) -> str:
    """SHA-256 of the weights file, or of all files of weights in their order."""
    digest = hashlib.sha256()
    for file in locate(name).weight_files:
        with file.open("rb") as stream:
            while piece := stream.read(1 << 24):
                digest.update(piece)
    return digest.hexdigest()


def _narrowed(weights: Mapping[str, torch.Tensor], precision: Precision) -> dict[str, torch.Tensor]:
    """The tensors of a file, in a precision."""
    found: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        value = tensor.detach().cpu()
        if precision == "float32" or not value.is_floating_point():
            found[name] = value.contiguous()
        elif precision == "int8" and value.dim() >= 2 and name.endswith("weight"):
            found[name], found[name + SCALE] = _quantised(value.float())
        elif precision == "int8" and value.dim() == 1:
            found[name] = value.float().contiguous()
        else:
            found[name] = value.half().contiguous()
    return found


def _quantised(value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whole numbers from -127 to 127, and what each row is multiplied by. (R, ...) -> (R, ...) int8, (R,) float32"""
    rows = value.reshape(len(value), -1)
    scale = rows.abs().amax(dim=1) / 127 if rows.numel() else rows.new_zeros(len(rows))
    whole = (rows / scale.where(scale > 0, 1.0)[:, None]).round().to(torch.int8)
    return whole.reshape(value.shape).contiguous(), scale


def _widened(stored: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """The weights of a file in float32.

    Raises:
        ModelError: a tensor is of a type that no release has, or has not the scales that it needs.
    """
    found: dict[str, torch.Tensor] = {}
    for name, value in stored.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in stored:
            continue
        scale = stored.get(name + SCALE)
        if value.dtype == torch.int8 and value.dim() and scale is not None and scale.shape == value.shape[:1]:
            found[name] = value.float() * scale.float().reshape(-1, *[1] * (value.dim() - 1))
        elif value.dtype in KNOWN_TYPES:
            found[name] = value.float()
        else:
            raise ModelError(
                f"`{name}` in `{path}` must be of a floating-point type, or int8 with its scales, but is "
                f"{str(value.dtype).removeprefix('torch.')} instead; copy the folder whole"
            )
    return found


def _foreign_ctc(path: Path, device: str | torch.device) -> LoadedRecogniser:
    """The recogniser of a checkpoint of transformers or fairseq."""
    checkpoint = foreign.read(path)
    model, config = checkpoint.ctc()
    if checkpoint.head is None:
        raise ModelError(f"`{path}` must hold a CTC head, but does not")
    return LoadedRecogniser(model.to(device), config, checkpoint.head.tokenizer, path, {"origin": checkpoint.origin})


def _foreign_whisper(path: Path, device: str | torch.device) -> LoadedRecogniser:
    """The recogniser of a public Whisper: an encoder and a decoder that were taught on 30 s, and no CTC head."""
    model, pieces = _public(path).build().eval(), WhisperTokenizer.load(path)
    return LoadedRecogniser(model.to(device), model.config, CharacterTokenizer(), path, {}, pieces)


def _public(path: Path) -> WhisperConfig:
    """The configuration of a public Whisper, whose sizes are read from its folder when it is built."""
    return WhisperConfig(encoder=WhisperEncoderConfig(source=str(path)), vocabulary=0, pad_seconds=30.0)


def _must_fit(model: AnyModel, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Refuse weights that are not those of a model of shapes alone."""
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    wrong = [name for name in [*own, *given] if own.get(name) != given.get(name)]
    if wrong:
        name = wrong[0]
        wanted, found = (each.get(name, "absent") for each in (own, given))
        more = f", and {len(set(wrong)) - 1} others differ" if len(set(wrong)) > 1 else ""
        raise ModelError(
            f"`{path}` must fit config.json, but does not: `{name}` must be {wanted}, but is {found}{more}; "
            "copy the folder whole"
        )
