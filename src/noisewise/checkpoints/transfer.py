"""Weight transfer from one stage of training to the next: which weights go where, strictly.

| from | into | taken |
| --- | --- | --- |
| any kind | the same kind | everything |
| wav2vec2_pretraining, ew2, codebook_learning, ctc, wav2code, encoder_decoder, whisper | any other kind | the encoder |
| wav2vec2_pretraining | ew2 (and back) | everything: their parts are the same |
| ctc, wav2code, encoder_decoder, whisper | another of these | the encoder and the linear layer of CTC |
| ctc, wav2code, encoder_decoder, whisper | one of these with another vocabulary | the encoder |
| whisper | whisper with another vocabulary of CTC | the encoder and the decoder |
| cat_pretraining | cat_tagger | the student, as encoder |
| cat_tagger | cat_pretraining | the encoder, as student and as teacher |

Parts that only the source has are left; parts that only the target has start at random (or, for a codebook, as its
task initialises them).
"""

from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from noisewise.checkpoints.model_folder import StoredModel
from noisewise.config import architecture
from noisewise.errors import NoisewiseError
from noisewise.models import AcousticConfig, AnyModel

CONTRASTIVE = frozenset({"wav2vec2_pretraining", "ew2"})
RECOGNISERS = frozenset(member.kind for member in get_args(AcousticConfig))
CAT_KINDS = frozenset({"cat_pretraining", "cat_tagger"})


@dataclass(frozen=True)
class Transfer:
    """Top-level parts of the two models, by what became of them."""

    taken: tuple[str, ...]
    """Parts of the target that were filled from the source."""
    left: tuple[str, ...]
    """Parts of the source that the target has no place for."""
    new: tuple[str, ...]
    """Parts of the target that keep their initial weights."""

    def __str__(self) -> str:
        parts = {"taken": self.taken, "left": self.left, "new": self.new}
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)


def transfer_weights(source: StoredModel, model: AnyModel, kind: str, *, same_vocabulary: bool = True) -> Transfer:
    """Fill a model from one that has been trained.

    Args:
        source: what has been trained.
        model: what is filled, in place.
        kind: kind of `model`, as in its configuration.
        same_vocabulary: whether both have the same tokens; if not, the linear layer of CTC is not taken.

    Raises:
        NoisewiseError: the encoders differ in what they compute; the message names the fields.
    """
    if "lm" in (source.config.kind, kind) and source.config.kind != kind:
        raise NoisewiseError(
            f"`start_from` must hold a model that shares parts with {kind}, but {source.folder} is of kind "
            f"{source.config.kind}; start a model of audio from one of audio, and a language model from one"
        )
    _must_be_same_encoder(source, model)
    wanted = model.state_dict()
    chosen = _parts(source.config.kind, kind, same_vocabulary)
    given = _renamed(source.weights, source.config.kind, kind)
    taken = {name: tensor for name, tensor in given.items() if chosen is None or _part(name) in chosen}
    odd = [
        name for name, tensor in taken.items() if name not in wanted or wanted[name].shape != tensor.shape
    ] + [name for name in wanted if name not in taken and (chosen is None or _part(name) in chosen)]  # fmt: skip
    if odd:
        raise NoisewiseError(
            f"`start_from` must hold a model of the same shape, but {source.folder} differs in {', '.join(odd[:5])}; "
            "give the model the sizes that the folder's config.json names"
        )
    model.load_state_dict({**wanted, **taken})
    theirs, own = {_part(name) for name in given}, {_part(name) for name in wanted}
    filled = {_part(name) for name in taken}
    return Transfer(*(tuple(sorted(parts)) for parts in (filled, theirs - filled, own - filled)))


def _parts(source: str, target: str, same_vocabulary: bool) -> frozenset[str] | None:
    """Top-level modules that are taken; None for all."""
    if source == target == "whisper" and not same_vocabulary:
        return frozenset({"encoder", "decoder"})
    if {source, target} <= RECOGNISERS and not same_vocabulary:
        return frozenset({"encoder"})
    if source == target or {source, target} <= CONTRASTIVE:
        return None
    if {source, target} <= RECOGNISERS:
        return frozenset({"encoder", "head"})
    return frozenset({"student", "teacher"} if target == "cat_pretraining" else {"encoder"})


def _renamed(weights: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    """Weights under the names of the target: CAT's encoder is called student, and has a copy, in pre-training."""
    if source == target or {source, target} != CAT_KINDS:
        return weights
    old, new = ("student", ["encoder"]) if source == "cat_pretraining" else ("encoder", ["student", "teacher"])
    found = {name: tensor for name, tensor in weights.items() if _part(name) != old}
    for part in new:
        found.update((part + name.removeprefix(old), tensor) for name, tensor in weights.items() if _part(name) == old)
    return found


def _part(name: str) -> str:
    return name.partition(".")[0]


def _must_be_same_encoder(source: StoredModel, model: AnyModel) -> None:
    own = getattr(getattr(model, "encoder", None), "config", None)
    if own is None:
        return  # shapes alone are compared
    old, new = architecture(source.config.encoder), architecture(own)
    differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if differing:
        values = ", ".join(f"model.encoder.{name}={old.get(name)}" for name in differing)
        raise NoisewiseError(f"`start_from` must hold the same encoder, but {source.folder} has {values}; set these")
