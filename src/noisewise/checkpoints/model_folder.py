"""A released model is a folder: `config.json`, `model.safetensors`, `tokens.txt`, `README.md` (its card).

A model that writes subwords has `tokens.json` in the place of `tokens.txt`, and one that names sounds `labels.txt`, one
class a line.

CTC models from elsewhere that `noisewise.checkpoints.foreign` recognises are loaded by the same functions. A stage of
training that recognises nothing yet (pre-training, a codebook) is the same folder without `tokens.txt`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import noisewise
from noisewise import hub
from noisewise.checkpoints import foreign
from noisewise.config import dump, parse
from noisewise.errors import ConfigError, ModelError
from noisewise.files import whole_folder
from noisewise.models import AcousticConfig, AcousticModel, AnyModel, Model, ModelConfig, build, settled
from noisewise.models.cat.tagger import CATTagger, CATTaggerConfig
from noisewise.models.lm import TransformerLM
from noisewise.text import subword
from noisewise.text.tokenizer import Tokenizer
from noisewise.text.vocabulary import Vocabulary

FORMAT = "noisewise-model-1"
BOX = Path(noisewise.__file__).parent / "assets" / "box"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for use, and what came with it."""

    model: AcousticModel
    """In evaluation mode, float32."""
    config: AcousticConfig
    tokenizer: Tokenizer
    folder: Path
    about: dict[str, Any]
    """The whole of config.json."""


@dataclass(frozen=True)
class LoadedTagger:
    """A model that names sounds, ready for use, and what came with it."""

    model: CATTagger
    """In evaluation mode, float32."""
    config: CATTaggerConfig
    labels: list[str]
    """Names of the classes, in the order of its logits."""
    folder: Path
    about: dict[str, Any]
    """The whole of config.json."""


@dataclass(frozen=True)
class Stage:
    """A trained model of any kind, as the next stage starts from it."""

    config: Any
    """One of `ModelConfig`."""
    weights: dict[str, torch.Tensor]
    """float32."""
    folder: Path

    def model(self) -> Model:
        """The model itself, in evaluation mode.

        Raises:
            ModelError: it is a language model, or the weights do not fit.
        """
        model = self._filled()
        if isinstance(model, TransformerLM):
            raise ModelError(f"`{self.folder}` must hold a model of sound, but holds a language model (for --lm)")
        return model

    def language_model(self) -> TransformerLM:
        """The language model itself, in evaluation mode.

        Raises:
            ModelError: it is none, or the weights do not fit.
        """
        model = self._filled()
        if not isinstance(model, TransformerLM):
            raise ModelError(f"`{self.folder}` must hold a language model, but is of kind {self.config.kind}")
        return model

    def _filled(self) -> AnyModel:
        model = build(self.config)
        _fill(model, self.weights, self.folder / "model.safetensors")
        return model.eval()


def locate(name: str | Path) -> Path:
    """Where a model is: a path, `box` for the model that is shipped with the package, or `hf:ORG/NAME@REVISION`."""
    if str(name).startswith(hub.PREFIX):
        return hub.fetch(str(name))
    folder = BOX if str(name) == "box" else Path(name)
    if foreign.recognises(folder):
        return folder
    missing = [file for file in ("config.json", "model.safetensors") if not (folder / file).is_file()]
    if missing:
        raise ModelError(
            f"`{name}` must be 'box' or the folder of a model, but "
            f"{'there is no such folder' if not folder.is_dir() else 'lacks ' + ', '.join(missing)}; check the path"
        )
    return folder


def load(name: str | Path = "box", device: str | torch.device = "cpu") -> LoadedModel:
    """Read a model folder, or a CTC model from elsewhere.

    Raises:
        ModelError: the folder, its configuration or its weights cannot be used.
        InteropError: the same of a model from elsewhere.
    """
    folder = locate(name)
    if foreign.recognises(folder):
        return _from_elsewhere(folder, device)
    stage, about = _read(folder)
    model = stage.model()
    if not isinstance(model, AcousticModel):
        if isinstance(model, CATTagger):
            raise ModelError(f"`{name}` must hold a recogniser, but holds a tagger, which gives labels, not text")
        raise ModelError(
            f"`{name}` must hold a recogniser, but holds a model of kind {stage.config.kind}; fine-tune it first: "
            "`start_from` in a recipe takes it as it is"
        )
    if not subword.is_in(folder):
        raise ModelError(f"`{name}` must hold tokens.txt or tokens.json, but lacks them; copy the folder whole")
    tokenizer = subword.load(folder)
    if len(tokenizer) != stage.config.vocabulary:
        raise ModelError(
            f"`{folder / tokenizer.FILE}` must hold {stage.config.vocabulary} symbols, but holds {len(tokenizer)} "
            "instead"
        )
    return LoadedModel(model.to(device), stage.config, tokenizer, folder, about)


def load_tagger(name: str | Path, device: str | torch.device = "cpu") -> LoadedTagger:
    """Read the folder of a model that names sounds.

    Raises:
        ModelError: the folder, its configuration, weights or labels cannot be used.
    """
    folder = locate(name)
    stage, about = _read(folder) if not foreign.recognises(folder) else (None, {})
    if stage is None or not isinstance(stage.config, CATTaggerConfig):
        kind = "a model from elsewhere" if stage is None else f"a model of kind {stage.config.kind}"
        raise ModelError(f"`{name}` must hold a tagger, but holds {kind}; train one with task.kind=tagging")
    path = folder / "labels.txt"
    labels = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if len(labels) != stage.config.classes:
        raise ModelError(
            f"`{path}` must name {stage.config.classes} classes, one a line, but names {len(labels)}; "
            "copy the folder whole"
        )
    model = cast(CATTagger, stage.model())
    return LoadedTagger(model.to(device), stage.config, labels, folder, about)


def load_stage(name: str | Path) -> Stage:
    """Read a model folder of ours, of any kind.

    Raises:
        ModelError: the folder, its configuration or its weights cannot be used.
    """
    folder = locate(name)
    if foreign.recognises(folder):
        raise ModelError(f"`{name}` must be a folder that noisewise wrote, but comes from elsewhere")
    return _read(folder)[0]


def _read(folder: Path) -> tuple[Stage, dict[str, Any]]:
    try:
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config: Any = parse(cast(Any, ModelConfig), about["model"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ConfigError) as error:
        raise ModelError(f"`{folder / 'config.json'}` must describe a model, but does not: {error}") from error
    path = folder / "model.safetensors"
    try:
        weights = {name: tensor.float() for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"`{path}` must be a safetensors file, but cannot be read: {error}") from error
    return Stage(config, weights, folder), about


def save(
    folder: str | Path,
    model: AnyModel,
    config: Any,
    tokenizer: Tokenizer | Vocabulary | None,
    *,
    card: str,
    about: dict[str, Any] | None = None,
    half: bool = False,
    labels: Sequence[str] = (),
) -> Path:
    """Write a model folder whole or not at all.

    Args:
        folder: where; an old model there is replaced.
        model: what is saved.
        config: its configuration, one of `ModelConfig`.
        tokenizer: its symbols, or the words of a language model; None for a stage that has none.
        card: the text of README.md.
        about: further plain values for config.json (version, metrics, the recipe).
        half: store the weights as float16, half the size; `load` gives float32 again.
        labels: names of the classes of a tagger, in the order of its logits.
    """
    folder = Path(folder)
    with whole_folder(folder) as temporary:
        values = {"format": FORMAT, "model": dump(settled(config, model)), **(about or {})}
        (temporary / "config.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        weights = {
            name: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
            for name, tensor in model.state_dict().items()
        }
        save_file(weights, temporary / "model.safetensors", metadata={"format": FORMAT})
        (temporary / "model.safetensors").chmod(0o644)  # written readable by its owner alone
        if tokenizer is not None:
            tokenizer.save(temporary / tokenizer.FILE)
        if labels:
            (temporary / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        (temporary / "README.md").write_text(card, encoding="utf-8")
    return folder


def weights_hash(folder: str | Path) -> str:
    """SHA-256 of the weights file, or of all files of weights in their order."""
    path = locate(folder)
    files = foreign.weight_files(path) if foreign.recognises(path) else [path / "model.safetensors"]
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(1 << 24):
                digest.update(piece)
    return digest.hexdigest()


def _from_elsewhere(path: Path, device: str | torch.device) -> LoadedModel:
    checkpoint = foreign.read(path)
    model, config = checkpoint.ctc()
    if checkpoint.head is None:
        raise ModelError(f"`{path}` must hold a CTC head, but does not")
    return LoadedModel(model.to(device), config, checkpoint.head.tokenizer, path, {"origin": checkpoint.origin})


def _fill(model: AnyModel, weights: dict[str, torch.Tensor], path: Path) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"`{path}` must fit config.json, but does not: {reason}") from error
