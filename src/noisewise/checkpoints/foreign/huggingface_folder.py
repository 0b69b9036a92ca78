"""Folders that transformers writes for the wav2vec 2.0 family and its kin, read and written without transformers.

wav2vec 2.0 becomes the encoder of noisewise; HuBERT, WavLM, data2vec, and wav2vec 2.0 with what noisewise has no equal
for (MMS), become encoders of kind `pretrained`, which run through transformers.

`config.json`, `model.safetensors` or an old `pytorch_model.bin` (both also in shards), and for CTC models `vocab.json`,
`tokenizer_config.json` and the feature extractor, in `processor_config.json` or `preprocessor_config.json`. A model of
many languages (MMS) also has `adapter.LANGUAGE.safetensors`.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from noisewise.checkpoints.foreign import families, huggingface, languages, pretraining, vocabulary, weight_files
from noisewise.checkpoints.foreign.checkpoint import Checkpoint, Head
from noisewise.checkpoints.foreign.huggingface import HEADS
from noisewise.checkpoints.foreign.vocabulary import Names
from noisewise.errors import InteropError
from noisewise.files import read_json, replaced_folder
from noisewise.models.pretrained import EXTRACTORS, extractor_values
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.text.tokenizer import BLANK

SIDE_FILES = ("vocab.json", "added_tokens.json", "tokenizer_config.json", *EXTRACTORS)


def recognises(folder: Path) -> bool:
    """Whether a folder is one of transformers': a `config.json` with a model type and no `tokens.txt` of noisewise."""
    config = folder / "config.json"
    if not config.is_file() or (folder / "tokens.txt").is_file():
        return False
    try:
        values = read_json(config)
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and "model_type" in values


def read(folder: Path, language: str | None = None) -> Checkpoint:
    """Read a folder.

    Args:
        folder: where it is.
        language: of a model of many languages, as its `vocab.json` names them; that of its tokenizer if left out.

    Raises:
        InteropError: a file is missing or broken, or the model is one that noisewise cannot build.
    """
    values = weight_files.values_of(folder / "config.json")
    sides = {name: weight_files.values_of(folder / name) for name in SIDE_FILES if (folder / name).is_file()}
    family = values.get("model_type")
    if not isinstance(family, str) or family not in families.CLASSES:
        raise InteropError(
            f"`model_type` must be {', '.join(families.CLASSES)}, but is {family!s:.80} instead in `{folder}`; "
            f"if it is a CTC model: noisewise evaluate --model hf:{folder}"
        )
    families.without_adapters(values, folder)
    extractor = extractor_values(sides)
    rate = (extractor or {}).get("sampling_rate", 16_000)
    if rate != 16_000:
        raise InteropError(f"the feature extractor of `{folder}` must be for 16000 Hz, but is for {rate!r:.80}")
    state = weight_files.read(folder)
    sides = languages.chosen(folder, state, sides, language)
    origin = {"format": "huggingface", "files": {"config.json": values, **sides}}
    if extractor is None:
        origin["guessed"] = ["do_normalize"]
    if family != "wav2vec2" or huggingface.beyond_own(values) is not None:
        kin = families.config_from_huggingface(values, extractor)
        head, weights = _head(folder, state, values, sides), families.from_huggingface(state, family)
        return Checkpoint(folder, kin, weights, head, families.left_out(state, family), origin)
    config = huggingface.config_from_huggingface(values)
    if extractor is not None:
        front_end: Any = config.front_end
        config = replace(config, front_end=replace(front_end, normalise=bool(extractor.get("do_normalize", True))))
    parts = sorted({name.partition(".")[0] for name in state if name.startswith(HEADS)} - {"lm_head"})
    head, weights = _head(folder, state, values, sides), huggingface.from_huggingface(state)
    return Checkpoint(folder, config, weights, head, tuple(parts), origin, pretraining.heads(state))


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a folder that transformers and `read` load, whole or not at all."""
    is_own = isinstance(checkpoint.config, Wav2Vec2Config)
    state = (huggingface if is_own else families).to_huggingface(checkpoint.weights)
    files = checkpoint.origin.get("files", {}) if checkpoint.origin.get("format") == "huggingface" else {}
    head = checkpoint.head
    if head is None:
        config = {
            **_config(checkpoint),
            **files.get("config.json", {}),
            "architectures": [f"{_class(checkpoint)}Model"],
        }
        files = {**files, "config.json": config}
    else:
        prefix = families.PREFIXES.get(_family(checkpoint), "wav2vec2.")
        state = {prefix + name: value for name, value in state.items()}
        order, files = _described(checkpoint, head, files)
        rows = torch.tensor(order)
        state |= {"lm_head.weight": head.weight[rows], "lm_head.bias": head.bias[rows]}
    values = {**files["config.json"], "dtype": "float32"}
    values.pop("torch_dtype", None)
    if head is not None:
        values["vocab_size"] = len(head.tokenizer)
    files = {**files, "config.json": values}
    if not (values.get("mask_time_prob", 0.05) or values.get("mask_feature_prob", 0.0)):
        state = {name: value for name, value in state.items() if not name.endswith("masked_spec_embed")}
    with replaced_folder(folder) as temporary:
        for name, content in files.items():
            (temporary / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        weights = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        save_file(weights, temporary / "model.safetensors", metadata={"format": "pt"})


def rows(checkpoint: Checkpoint) -> Tensor:
    """The row of the head in noisewise for each output of the source: its logits are those at these rows. (V,)"""
    assert checkpoint.head is not None
    return torch.tensor(_described(checkpoint, checkpoint.head, checkpoint.origin.get("files", {}))[0])


def _head(folder: Path, state: dict[str, Tensor], values: dict[str, Any], sides: dict[str, Any]) -> Head | None:
    """The CTC head with its tokenizer; None for an encoder alone."""
    if "lm_head.weight" not in state:
        return None
    source = folder / "vocab.json"
    if "vocab.json" not in sides:
        raise InteropError(f"`{folder}` must hold vocab.json beside its CTC head, but does not; download it whole")
    if "lm_head.bias" not in state or state["lm_head.weight"].dim() != 2:
        raise InteropError(f"`{folder}` must hold a CTC head of weight (V, D) and bias (V,), but does not")
    size = len(state["lm_head.weight"])
    ids = {**sides["vocab.json"], **sides.get("added_tokens.json", {})}
    symbols = vocabulary.from_ids(ids, size, source)
    tokenizer, order = vocabulary.from_symbols(symbols, _names(symbols, values, sides), source)
    rows = torch.tensor(order)
    dropout = values.get("final_dropout", 0.1)
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise InteropError(f"`final_dropout` must be between 0 and 1, but is {dropout!r:.80} instead in `{folder}`")
    return Head(state["lm_head.weight"][rows], state["lm_head.bias"][rows], tokenizer, float(dropout))


def _names(symbols: list[str], values: dict[str, Any], sides: dict[str, Any]) -> Names:
    """The names of special tokens in the tokenizer; without one for the blank, it is the model's padding id."""
    settings = sides.get("tokenizer_config.json", {})
    padding = values.get("pad_token_id", 0)
    blank = symbols[padding] if type(padding) is int and 0 <= padding < len(symbols) else "<pad>"
    return Names(
        blank=_token(settings.get("pad_token"), blank),
        unknown=_token(settings.get("unk_token"), "[UNK]" if "[UNK]" in symbols else "<unk>"),
        boundary=_token(settings.get("word_delimiter_token"), "|"),
    )


def _token(value: Any, default: str) -> str:
    """Old files hold tokens as objects with their text as `content`."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else default


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.config
    if isinstance(config, Wav2Vec2Config):
        return {**huggingface.config_to_huggingface(config), "dtype": "float32"}
    values: dict[str, Any] | None = getattr(config, "architecture", None)
    return {**(values or {}), "dtype": "float32"}


def _family(checkpoint: Checkpoint) -> str:
    """Its model type in transformers."""
    return str(_config(checkpoint).get("model_type"))


def _class(checkpoint: Checkpoint) -> str:
    return families.CLASSES[_family(checkpoint)]


def _described(checkpoint: Checkpoint, head: Head, files: dict[str, Any]) -> tuple[list[int], dict[str, Any]]:
    """For each output the row of noisewise's head, and the files of a CTC model: those it came from, or new ones."""
    extractor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": 16_000,
        "padding_side": "right",
        "padding_value": 0.0,
        "do_normalize": getattr(checkpoint.config, "normalise", False),
        "return_attention_mask": _config(checkpoint).get("feat_extract_norm") == "layer",
    }
    size = len(head.tokenizer)
    if "vocab.json" in files:
        ids = {**files["vocab.json"], **files.get("added_tokens.json", {})}
        symbols = vocabulary.from_ids(ids, size, "vocab.json")
        _, order = vocabulary.from_symbols(symbols, _names(symbols, files["config.json"], files), "vocab.json")
        given = {} if extractor_values(files) is not None else {"preprocessor_config.json": extractor}
        return [order.index(index) for index in range(size)], {**given, **files}
    names = ["<pad>" if symbol == BLANK else symbol for symbol in head.tokenizer.symbols]
    tokenizer = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "bos_token": "<s>" if "<s>" in names else None,
        "eos_token": "</s>" if "</s>" in names else None,
        "word_delimiter_token": "|",
        "do_lower_case": False,
    }
    config = {
        **_config(checkpoint),
        "architectures": [f"{_class(checkpoint)}ForCTC"],
        "vocab_size": size,
        "pad_token_id": 0,
        "final_dropout": head.dropout,
        "ctc_loss_reduction": "sum",
        "ctc_zero_infinity": True,
    }
    return list(range(size)), {
        "config.json": config,
        "vocab.json": {name: index for index, name in enumerate(names)},
        "tokenizer_config.json": tokenizer,
        "preprocessor_config.json": extractor,
    }
