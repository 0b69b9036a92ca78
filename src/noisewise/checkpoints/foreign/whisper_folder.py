"""Folders of Whisper, as transformers and CTranslate2 (faster-whisper) have them, read and written without either.

Of transformers: `config.json`, `model.safetensors`, `generation_config.json`, `preprocessor_config.json`. Of
CTranslate2: `config.json`, `model.bin`, `vocabulary.json`. Both: `tokenizer.json`.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

from noisewise.checkpoints.foreign.checkpoint import Checkpoint
from noisewise.errors import InteropError, ModelError
from noisewise.files import read_json, replaced_folder
from noisewise.models.whisper import ctranslate2, weights
from noisewise.models.whisper.encoder import WhisperEncoderConfig
from noisewise.models.whisper.state import WhisperWeights, sized, upper_heads, with_alignment_heads
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.models.whisper.whisper import Whisper

Layout = Literal["huggingface", "ctranslate2"]
TOKENIZER = "tokenizer.json"
COPIED = {
    "huggingface": ("generation_config.json", "preprocessor_config.json", "tokenizer_config.json"),
    "ctranslate2": ("vocabulary.json", "vocabulary.txt", "preprocessor_config.json"),
}
"""Files beside the weights, of each layout, that stay what they are."""
LANGUAGE = re.compile(r"<\|[a-z]{2,3}\|>")
"""Form of the tokens of languages."""


def recognises(folder: Path) -> bool:
    """Whether a folder is a Whisper of transformers or of CTranslate2, and none of noisewise."""
    try:
        values = read_json(folder / "config.json")
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(values, dict):
        return False
    return values.get("model_type") == "whisper" or ("suppress_ids" in values and weights.is_ctranslate2(folder))


def read(folder: Path) -> Checkpoint:
    """Read a folder.

    Raises:
        InteropError: a file is missing or broken, or of another model.
    """
    try:
        found = weights.read(str(folder))
    except InteropError:
        raise
    except ModelError as error:
        raise InteropError(str(error)) from error
    encoder = {
        name.removeprefix("encoder."): value for name, value in found.weights.items() if name.startswith("encoder.")
    }
    config = WhisperEncoderConfig(**found.encoder)  # type: ignore[arg-type]
    left = ("decoder",) if found.decoder else ()
    return Checkpoint(folder, config, encoder, None, left, {"format": "whisper"}, whole=found)


def of_model(model: Whisper, folder: Path) -> Checkpoint:
    """A Whisper of noisewise as a checkpoint that `write` takes; its CTC head, which has no place there, is left out.

    Args:
        model: encoder and decoder.
        folder: where its `tokenizer.json` is.
    """
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("head.")}
    heads = {"encoder": model.config.encoder.heads, "decoder": model.config.decoder.heads}
    left = ("head",) if model.has_head else ()
    encoder = model.encoder.state_dict()
    whole = with_alignment_heads(sized(state, heads, folder), model.config.decoder.alignment_heads, folder)
    return Checkpoint(folder, model.encoder.config, encoder, None, left, {"format": "whisper"}, whole=whole)


def write(
    folder: Path, model: WhisperWeights, sides: Path, layout: Layout, precision: ctranslate2.Precision = "float32"
) -> None:
    """Write a folder, whole or not at all.

    Args:
        folder: where it is written.
        model: encoder and decoder.
        sides: a folder with the `tokenizer.json` of the model, and whatever else it has of `COPIED`.
        layout: whose folder it becomes.
        precision: type of the weights; transformers has float32 and float16.

    Raises:
        InteropError: the tokenizer is missing, or the precision is not one of the layout.
        ModelError: the model has no decoder.
    """
    if not (sides / TOKENIZER).is_file():
        raise InteropError(f"`{sides}` must hold {TOKENIZER}, but does not; copy the folder whole")
    tokens = _tokens(sides / TOKENIZER)
    if not model.decoder or len(tokens) > model.decoder["tokens"]:
        raise InteropError(f"`{sides}` must hold a decoder and its tokens, but does not; copy the folder whole")
    with replaced_folder(folder) as temporary:
        for name in (TOKENIZER, *COPIED[layout]):
            if (sides / name).is_file():
                shutil.copyfile(sides / name, temporary / name)
        if layout == "huggingface":
            _write_transformers(temporary, model, tokens, sides, precision)
        else:
            _write_ctranslate2(temporary, model, tokens, sides, precision)


def _write_transformers(folder: Path, model: WhisperWeights, tokens: list[str], sides: Path, precision: str) -> None:
    if precision not in ("float32", "float16"):
        raise InteropError(f"`precision` must be float32 or float16 for transformers, but is {precision} instead")
    kind = torch.float32 if precision == "float32" else torch.float16
    state = weights.to_transformers(model.weights)
    stored = {f"model.{name}": value.detach().cpu().to(kind).contiguous() for name, value in state.items()}
    save_file(stored, folder / weights.WEIGHTS, metadata={"format": "pt"})
    (folder / weights.WEIGHTS).chmod(0o644)
    values = _values(sides / weights.CONFIG)
    steering = _steering(tokens)
    defaults = {"architectures": ["WhisperForConditionalGeneration"], "is_encoder_decoder": True, **steering}
    kept = values if values.get("model_type") == "whisper" else {**defaults, "model_type": "whisper"}
    sizes = {weights.ENCODER_SIZES[name]: size for name, size in model.encoder.items()}
    sizes |= {name: model.decoder[size] for size, name in weights.DECODER_SIZES.items()}
    _put(folder / weights.CONFIG, {**kept, **sizes, "dtype": precision})
    generation = {**steering, "max_length": model.decoder["positions"], **_generation(sides)}
    generation["alignment_heads"] = _alignment_heads(model)
    extractor = {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": model.encoder["mels"],
        "sampling_rate": 16_000,
        **{"hop_length": 160, "n_fft": 400, "chunk_length": 30, "n_samples": 480_000, "nb_max_frames": 3000},
        **{"padding_side": "right", "padding_value": 0.0, "return_attention_mask": False},
    }
    for name, content in (("generation_config.json", generation), ("preprocessor_config.json", extractor)):
        if not (folder / name).exists():
            _put(folder / name, content)


def _write_ctranslate2(
    folder: Path, model: WhisperWeights, tokens: list[str], sides: Path, precision: ctranslate2.Precision
) -> None:
    ctranslate2.write(folder / ctranslate2.FILE, model, precision)
    values = _values(sides / weights.CONFIG)
    never, first = _forbidden(WhisperTokenizer.load(sides))
    made = {
        "alignment_heads": _alignment_heads(model),
        "lang_ids": [index for index, name in enumerate(tokens) if LANGUAGE.fullmatch(name)],
        "suppress_ids": never,
        "suppress_ids_begin": first,
    }
    _put(folder / weights.CONFIG, {name: values.get(name, value) for name, value in made.items()})
    if not any((folder / name).exists() for name in ("vocabulary.json", "vocabulary.txt")):
        extra = [f"<|unused {index}|>" for index in range(len(tokens), model.decoder["tokens"])]
        _put(folder / "vocabulary.json", [*_timed(tokens), *extra][: model.decoder["tokens"]])
    if model.encoder["mels"] != 80 and not (folder / "preprocessor_config.json").exists():
        _put(folder / "preprocessor_config.json", {"feature_size": model.encoder["mels"]})


def _alignment_heads(model: WhisperWeights) -> list[list[int]]:
    """The heads that follow the speech, as both layouts write them."""
    return [list(each) for each in model.decoder.get("alignment_heads", upper_heads(model))]


def _timed(tokens: list[str]) -> list[str]:
    """The tokens, and those of times behind them where a tokenizer leaves these out."""
    if tokens[-1] != "<|notimestamps|>":
        return tokens
    return [*tokens, *(f"<|{step / 50:.2f}|>" for step in range(1501))]


def _tokens(path: Path) -> list[str]:
    """The tokens in the order of their ids, those added later included.

    Raises:
        InteropError: it is no tokenizer of byte pairs.
    """
    values = _values(path)
    try:
        ids = {**values["model"]["vocab"], **{each["content"]: each["id"] for each in values["added_tokens"]}}
    except (KeyError, TypeError) as error:
        raise InteropError(f"`{path}` must be the tokenizer of a Whisper, but lacks {error}") from error
    if sorted(ids.values()) != list(range(len(ids))):
        raise InteropError(f"`{path}` must give its tokens the ids 0 to {len(ids) - 1}, but does not; copy it whole")
    return sorted(ids, key=lambda name: int(ids[name]))


def _steering(tokens: list[str]) -> dict[str, int]:
    """Ids of the tokens with which transformers begins and ends a text."""
    try:
        end, start = (tokens.index(name) for name in ("<|endoftext|>", "<|startoftranscript|>"))
    except ValueError as error:
        raise InteropError(f"`{TOKENIZER}` must be that of a Whisper, but {error}") from error
    return {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}


def _generation(sides: Path) -> dict[str, Any]:
    """How transformers decodes: what it forbids, and the tokens of the prompt by their names."""
    pieces = WhisperTokenizer.load(sides)
    never, first = _forbidden(pieces)
    found = {
        "is_multilingual": bool(pieces.languages),
        "no_timestamps_token_id": pieces.timestamps - 1,
        "return_timestamps": False,
        "suppress_tokens": never,
        "begin_suppress_tokens": first,
    }
    if not pieces.languages:
        return found
    languages = {f"<|{code}|>": index for code, index in sorted(pieces.languages.items())}
    tasks = {task: pieces.special[f"<|{task}|>"] for task in ("transcribe", "translate")}
    return {**found, "lang_to_id": languages, "task_to_id": tasks}


def _forbidden(pieces: WhisperTokenizer) -> tuple[list[int], list[int]]:
    """Tokens that no transcript holds, and those that none begins with (Radford et al. 2022, `decoding.py`)."""
    steering = {*pieces.steering} - {pieces.end, pieces.timestamps - 1, *pieces.languages.values()}
    return sorted({*pieces.non_speech} | steering), [*pieces.encode(" ")[:1], pieces.end]


def _values(path: Path) -> dict[str, Any]:
    """The names and values of a JSON file; none where it is not there."""
    try:
        return weights.json_values(path) if path.is_file() else {}
    except ModelError as error:
        raise InteropError(str(error)) from error


def _put(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
