"""Writes a store of embeddings, shard after shard; see `noisewise.data.embeddings.store`."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from noisewise.config import dump
from noisewise.data.embeddings.store import (
    ABOUT,
    FORMAT,
    INDEX,
    QUARANTINE,
    EmbeddingFacts,
    EmbeddingStore,
    Stretch,
    Unread,
)
from noisewise.errors import DataError
from noisewise.files import remove_leftovers, replaced, replaced_path


class EmbeddingWriter:
    """Appends shards to a store, one process at a time."""

    def __init__(self, folder: str | Path, facts: EmbeddingFacts) -> None:
        """Begin a store, or go on with one of the same facts.

        Raises:
            DataError: the folder holds something else.
        """
        self.folder, self.facts = Path(folder), facts
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        if (self.folder / INDEX).is_file():
            self.store = EmbeddingStore(self.folder)
            _must_agree(self.folder, self.store.facts, facts)
        elif any(path for path in self.folder.iterdir() if not path.name.startswith(".")):
            raise DataError(f"`{folder}` must be empty or hold embeddings, but does not; choose another folder")
        else:
            self._write_index([])
            self.store = EmbeddingStore(self.folder)

    def add(
        self,
        clips: Sequence[tuple[str, Tensor]],
        unread: Sequence[Unread] = (),
        stretches: Mapping[str, Stretch] | None = None,
    ) -> None:
        """Append one shard: it is there whole when this returns, and not at all when it does not.

        Args:
            clips: id and vector (D,), or frames (F, D).
            unread: clips that gave none.
            stretches: id to the stretch of audio of the vector, to tell recordings of the same id apart.

        Raises:
            DataError: an id twice, or a vector of another width.
        """
        self._check([name for name, _ in clips], [vector for _, vector in clips])
        if not clips and not unread:
            return
        name = f"shard-{len(self.store.shards):06d}.safetensors"
        about = json.dumps(
            {
                "ids": [name for name, _ in clips],
                "heard": {name: astuple(each) for name, each in (stretches or {}).items()},
                "unread": [asdict(item) for item in unread],
            }
        )
        with replaced_path(self.folder / name, durable=True) as partial:
            # not `save_file`, which writes to a temporary name of its own, that a kill leaves behind
            partial.write_bytes(save(self._tensors([vector for _, vector in clips]), metadata={ABOUT: about}))
        self._write_index([*self.store.shards, name])
        self.store.append(name)
        self._write_quarantine()

    def _tensors(self, vectors: Sequence[Tensor]) -> dict[str, Tensor]:
        if not vectors:
            return {}
        kind = torch.float16 if self.facts.half else torch.float32
        if self.facts.level == "clip":
            return {"features": torch.stack(list(vectors)).to(kind).contiguous()}
        lengths = torch.tensor([len(each) for each in vectors])
        return {"features": torch.cat(list(vectors)).to(kind).contiguous(), "lengths": lengths}

    def _check(self, ids: Sequence[str], vectors: Sequence[Tensor]) -> None:
        counts = Counter(ids)
        twice = [name for name in ids if counts[name] > 1 or name in self.store]
        if twice:
            raise DataError(f"`{twice[0]}` must be embedded once, but comes twice; give every clip an id of its own")
        shape = (self.facts.dim,)
        for name, vector in zip(ids, vectors, strict=True):
            found = tuple(vector.shape) if self.facts.level == "clip" else tuple(vector.shape[1:])
            if found != shape or not vector.numel():
                raise DataError(f"`{name}` must have vectors of shape {shape}, but has {found} instead")

    def _write_index(self, shards: Sequence[str]) -> None:
        values = {"format": FORMAT, "facts": dump(self.facts), "shards": list(shards)}
        with replaced(self.folder / INDEX, durable=True) as file:
            file.write(json.dumps(values, indent=1) + "\n")

    def _write_quarantine(self) -> None:
        """A list that `quarantine` of a recipe takes."""
        if not self.store.unread:
            (self.folder / QUARANTINE).unlink(missing_ok=True)
            return
        with replaced(self.folder / QUARANTINE) as lines:
            for item in self.store.unread.values():
                entry = {"id": item.id, "reasons": [item.reason], "path": item.path, "message": item.message}
                lines.write(json.dumps(entry) + "\n")


def _must_agree(folder: Path, there: EmbeddingFacts, wanted: EmbeddingFacts) -> None:
    old, new = dump(there), dump(wanted)
    for name in old.keys() - {"details"}:
        if old[name] != new[name]:
            raise DataError(
                f"`{folder}` must be empty or hold the same embeddings, but its {name} is {old[name]!r} and not "
                f"{new[name]!r}; choose another folder"
            )
