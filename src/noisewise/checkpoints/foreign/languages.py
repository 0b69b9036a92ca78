"""Models of many languages, as MMS: a vocabulary, a head and adapter layers for each, of which one is taken.

V. Pratap et al. (2023), "Scaling Speech Technology to 1,000+ Languages", section 5.5.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from noisewise.checkpoints.foreign import weight_files
from noisewise.errors import InteropError


def chosen(folder: Path, state: dict[str, Tensor], sides: dict[str, Any], language: str | None) -> dict[str, Any]:
    """The files beside a model of many languages as those of one, whose adapter and head go into `state`.

    Args:
        folder: with `adapter.LANGUAGE.safetensors` or `.bin` for each language but the one that the weights have.
        state: its weights; changed.
        sides: content of the files; `vocab.json` of such a model holds a vocabulary for each language.
        language: the one that is wanted; that of the tokenizer for None.

    Raises:
        InteropError: a language that the model does not have, or any language for a model of one.
    """
    vocabularies = sides.get("vocab.json", {})
    is_of_many = bool(vocabularies) and all(isinstance(each, dict) for each in vocabularies.values())
    if not is_of_many:
        if language is not None:
            raise InteropError(f"`{folder}` must have a vocabulary for each language, but has one; leave language out")
        return sides
    name = language or sides.get("tokenizer_config.json", {}).get("target_lang") or next(iter(vocabularies))
    if name not in vocabularies:
        raise InteropError(f"`language` must be one of {_few(vocabularies)}, but is {name!r:.80} instead")
    adapters = [folder / f"adapter.{name}{suffix}" for suffix in (".safetensors", ".bin")]
    found = next((path for path in adapters if path.is_file()), None)
    if found is not None:
        state |= weight_files.read_one(found)
    elif language is not None and language != sides.get("tokenizer_config.json", {}).get("target_lang"):
        raise InteropError(f"`{adapters[0]}` must be there for this language, but is not; download it")
    settings = {**sides.get("tokenizer_config.json", {}), "target_lang": None}
    return {**sides, "vocab.json": vocabularies[name], "tokenizer_config.json": settings}


def _few(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")
