"""Every layout in which the families have been published: the same logits as transformers, from tiny random models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from noisewise.checkpoints.foreign import huggingface_folder, read
from noisewise.checkpoints.foreign.checkpoint import Checkpoint
from tests.checkpoints.foreign.conftest import LARGE, Maker

State = dict[str, Tensor]
WAVEFORM = (0.3 * np.random.default_rng(0).standard_normal(6_000) + 0.1).astype(np.float32)
FAMILIES = {"Wav2Vec2": "wav2vec2.", "Hubert": "hubert.", "WavLM": "wavlm.", "Data2VecAudio": "data2vec_audio."}
OLD = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def old_weight_norm(state: State) -> State:
    """Names of PyTorch before 2.1."""
    for new, old in OLD.items():
        state = {name.replace(new, old): value for name, value in state.items()}
    return state


def without_mask(state: State) -> State:
    return {name: value for name, value in state.items() if not name.endswith("masked_spec_embed")}


def without_prefix(state: State) -> State:
    """As files that were put together by hand."""
    return {
        name.split(".", 1)[1] if name.startswith(tuple(FAMILIES.values())) else name: v for name, v in state.items()
    }


def rounded(state: State, dtype: torch.dtype) -> State:
    return {name: value.to(dtype) for name, value in state.items()}


def as_bin(folder: Path, state: State) -> None:
    torch.save(state, folder / "pytorch_model.bin")


def as_legacy_bin(folder: Path, state: State) -> None:
    """The files of PyTorch before 1.6, which are no archives."""
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def as_safetensors(folder: Path, state: State) -> None:
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def in_shards(save: Callable[[State, Path], None], stem: str, suffix: str) -> Callable[[Path, State], None]:
    def write(folder: Path, state: State) -> None:
        names = sorted(state)
        parts = [names[: len(names) // 2], names[len(names) // 2 :]]
        placed: dict[str, Any] = {}
        for number, part in enumerate(parts, start=1):
            file = f"{stem}-0000{number}-of-00002{suffix}"
            save({name: state[name] for name in part}, folder / file)
            placed |= dict.fromkeys(part, file)
        index = {"metadata": {"total_size": 0}, "weight_map": placed}
        (folder / f"{stem}{suffix}.index.json").write_text(json.dumps(index))

    return write


LAYOUTS: dict[str, tuple[Callable[[State], State], Callable[[Path, State], None]]] = {
    "old names, bin (2021)": (old_weight_norm, as_bin),
    "old names, legacy bin (2020)": (old_weight_norm, as_legacy_bin),
    "old names, safetensors (2023)": (old_weight_norm, as_safetensors),
    "no mask embedding": (without_mask, as_safetensors),
    "no prefix": (without_prefix, as_safetensors),
    "float16": (lambda state: rounded(state, torch.float16), as_safetensors),
    "bfloat16": (lambda state: rounded(state, torch.bfloat16), as_safetensors),
    "float16, bin": (lambda state: rounded(state, torch.float16), as_bin),
    "shards": (dict, in_shards(lambda s, p: save_file(s, p, metadata={"format": "pt"}), "model", ".safetensors")),
    "shards, bin": (old_weight_norm, in_shards(torch.save, "pytorch_model", ".bin")),
}


def agrees(checkpoint: Checkpoint, kind: str, family: str, folder: Path, normalise: bool = True) -> None:
    """The logits of noisewise are those of transformers for the model in `folder`, in float32."""
    transformers = pytest.importorskip("transformers")
    model = getattr(transformers, family + kind).from_pretrained(folder).float().eval()
    waveform = torch.from_numpy(WAVEFORM)[None]
    inputs = (waveform - waveform.mean()) / (waveform.var(correction=0) + 1e-7).sqrt() if normalise else waveform
    own, _ = checkpoint.ctc()
    with torch.inference_mode():
        expected = model(inputs).logits
        found = own.head(own.encoder(waveform, torch.tensor([waveform.size(1)])).features)
    found = found[..., huggingface_folder.rows(checkpoint)]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layout_of_a_family(family: str, a_folder: Maker) -> None:
    shape = {} if family == "Data2VecAudio" else LARGE
    source = a_folder(family=family, **shape)
    state = load_file(source / "model.safetensors")
    for name, (renamed, write) in LAYOUTS.items():
        folder = source.with_name(name)
        folder.mkdir()
        for file in source.glob("*.json"):
            (folder / file.name).write_text(file.read_text())
        write(folder, renamed(state))
        checkpoint = read(folder)
        assert all(value.dtype == torch.float32 for value in checkpoint.weights.values()), name
        exact = checkpoint.head is not None and "float16" not in name
        expected = read(source).weights
        for key, value in checkpoint.weights.items():
            same = value.equal(expected[key]) if exact else torch.allclose(value, expected[key], atol=2e-2)
            assert same, (name, key)
    agrees(read(source), "ForCTC", family, source)
