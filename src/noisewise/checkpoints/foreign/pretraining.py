"""The parts of wav2vec 2.0 for pre-training alone, of fairseq and transformers: quantizer and projections, by a table.

Legend: G groups, V entries of a group, w width of an entry.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from noisewise.models.wav2vec2.pretraining import Wav2Vec2Pretraining

logger = logging.getLogger(__name__)

TABLE = (
    ("quantizer.vars", "quantizer.entries"),
    ("quantizer.codevectors", "quantizer.entries"),
    ("quantizer.weight_proj.", "quantizer.logits."),
    ("project_q.", "target_projection."),
    ("final_proj.", "context_projection."),
    ("project_hid.", "context_projection."),
)
"""Beginnings of names: of fairseq or transformers, of noisewise. Entries are one table there, (1, G V, w)."""


def heads(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a pre-trained model beside its encoder, under the names of noisewise; empty after fine-tuning."""
    return {
        own + name.removeprefix(foreign): value.float()
        for name, value in state.items()
        for foreign, own in TABLE
        if name.startswith(foreign)
    }


def begin(model: Wav2Vec2Pretraining, found: Mapping[str, Tensor], source: Path) -> tuple[str, ...]:
    """Put quantizer and projections into a model, all of them if every shape agrees, else none, with a warning.

    Args:
        model: what is filled, and trained further.
        found: as `heads` gives them.
        source: the checkpoint, for the warning.

    Returns:
        The parts that were filled.
    """
    if not found:
        return ()
    own = {name: value for name, value in model.state_dict().items() if not name.startswith("encoder.")}
    shaped = {name: _grouped(value, own[name]) if name in own else value for name, value in found.items()}
    shapes = ({name: value.shape for name, value in each.items()} for each in (shaped, own))
    if next(shapes) != next(shapes):
        sizes = ", ".join(f"model.contrast.{name}={value}" for name, value in _sizes(found).items())
        logger.warning(
            "start_from %s: its quantizer and projections have other shapes, and begin at random%s",
            *(source, f"; to take them, set {sizes}" if sizes else ""),
        )
        return ()
    model.load_state_dict({**model.state_dict(), **shaped})
    return tuple(sorted({name.partition(".")[0] for name in shaped}))


def _grouped(value: Tensor, own: Tensor) -> Tensor:
    """(1, G V, w) -> (G, V, w), where that is possible; group after group on both sides."""
    if own.dim() == 3 and value.dim() == 3 and (value.numel(), value.size(-1)) == (own.numel(), own.size(-1)):
        return value.reshape(own.shape)
    return value


def _sizes(found: Mapping[str, Tensor]) -> dict[str, int]:
    """The fields of `ContrastConfig` that follow from the shapes."""
    entries, projection = found.get("quantizer.entries"), found.get("target_projection.weight")
    if entries is None or projection is None or entries.dim() != 3 or projection.dim() != 2:
        return {}
    groups = max(projection.size(1) // entries.size(-1), 1)
    return {
        "groups": groups,
        "entries": entries.size(1) // groups,
        "quantized_dim": projection.size(1),
        "contrast_dim": projection.size(0),
    }
