"""fairseq's `.pt` files of wav2vec 2.0, pre-trained or fine-tuned with CTC, by name tables.

fairseq itself is not needed, and nothing that the file names is run; see `unpickle`.
"""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noisewise.checkpoints.foreign import pretraining, unpickle, vocabulary, weight_files
from noisewise.checkpoints.foreign.checkpoint import Checkpoint, Head
from noisewise.checkpoints.foreign.huggingface import modern, renamed
from noisewise.checkpoints.foreign.vocabulary import Names
from noisewise.config import parse
from noisewise.errors import InteropError
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config

SUFFIXES = (".pt", ".pth")
TABLE = (
    (r"mask_emb$", "mask_embedding"),
    (r"feature_extractor.conv_layers.(\d+).0.", "cnn.layers.{}.convolution."),
    (r"feature_extractor.conv_layers.(\d+).2.1.", "cnn.layers.{}.norm."),
    (r"feature_extractor.conv_layers.(\d+).2.", "cnn.layers.{}.norm."),
    (r"layer_norm.", "norm."),
    (r"post_extract_proj.", "projection."),
    (r"encoder.pos_conv.0.", "position.convolution."),
    (r"encoder.layer_norm.", "context_norm."),
    (r"encoder.layers.(\d+).self_attn.q_proj.", "transformer.layers.{}.attention.query."),
    (r"encoder.layers.(\d+).self_attn.k_proj.", "transformer.layers.{}.attention.key."),
    (r"encoder.layers.(\d+).self_attn.v_proj.", "transformer.layers.{}.attention.value."),
    (r"encoder.layers.(\d+).self_attn.out_proj.", "transformer.layers.{}.attention.output."),
    (r"encoder.layers.(\d+).self_attn_layer_norm.", "transformer.layers.{}.attention_norm."),
    (r"encoder.layers.(\d+).fc1.", "transformer.layers.{}.feed_forward.inner."),
    (r"encoder.layers.(\d+).fc2.", "transformer.layers.{}.feed_forward.outer."),
    (r"encoder.layers.(\d+).final_layer_norm.", "transformer.layers.{}.feed_forward_norm."),
)
"""Beginnings of names: of fairseq, of noisewise."""
HEADS = ("quantizer.", "project_q.", "final_proj.", "input_quantizer.", "project_inp.", "target_glu.")
"""Beginnings of names of the parts that only pre-training needs."""
FIELDS = {
    "encoder_embed_dim": "dim",
    "encoder_layers": "layers",
    "encoder_attention_heads": "heads",
    "encoder_ffn_embed_dim": "feed_forward",
    "layer_norm_first": "norm_first",
    "conv_pos": "position_kernel",
    "conv_pos_groups": "position_groups",
    "dropout_input": "input_dropout",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "encoder_layerdrop": "layer_drop",
}
"""Settings of the model: of fairseq, of noisewise."""
FIXED = {
    "activation_fn": "gelu",
    "layer_type": "transformer",
    "pos_conv_depth": 1,
    "conv_pos_batch_norm": False,
    "quantize_input": False,
}
"""Settings that the encoder of noisewise cannot have otherwise."""
LETTERS = tuple("|ETAONIHSRDLUMWCFGYPBVK'XJQZ")
"""Outputs 4 to 31 of models fine-tuned on LibriSpeech (its dict.ltr.txt); the first four are special."""
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
"""fairseq calls the first two <s> and <pad>, and its blank <s>; transformers calls the blank <pad>, as here."""


def recognises(path: Path) -> bool:
    """Whether a path is a file that `read` is for, by its suffix."""
    return path.suffix in SUFFIXES and path.is_file()


def read(path: Path, dictionary: Path | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the `.pt` file.
        dictionary: letters of a fine-tuned model, one a line; `dict.ltr.txt` beside the file if left out, or
            the dictionary in the file, or the letters of LibriSpeech where the number of outputs is theirs.

    Raises:
        InteropError: the file is hostile, broken, or no wav2vec 2.0 model that noisewise can build.
    """
    saved = unpickle.load(path)
    state = saved.get("model") if isinstance(saved, dict) else None
    if not isinstance(state, dict) or not all(weight_files.is_weight(*pair) for pair in state.items()):
        raise InteropError(f"`{path}` must hold `model`, names and tensors, as fairseq writes it, but does not")
    config = config_from_fairseq(*_settings(saved, path))
    inner = {name.removeprefix("w2v_encoder."): value for name, value in state.items()}
    encoder = {name.removeprefix("w2v_model."): value for name, value in inner.items() if not name.startswith("proj.")}
    kept = {modern(name): value.float() for name, value in encoder.items() if not name.startswith(HEADS)}
    return Checkpoint(
        source=path,
        config=config,
        weights=renamed(kept, TABLE, "fairseq's wav2vec 2.0"),
        head=_head(inner, saved, path, dictionary) if "proj.weight" in inner else None,
        left_out=tuple(sorted({name.partition(".")[0] for name in encoder if name.startswith(HEADS)})),
        origin={"format": "fairseq"},
        pretraining=pretraining.heads(encoder),
    )


def config_from_fairseq(model: Mapping[str, Any], normalise: bool) -> Wav2Vec2Config:
    """The configuration that fairseq's settings of a wav2vec2 model describe; masking stays off.

    Raises:
        InteropError: the encoder of noisewise cannot be that.
    """
    for name, wanted in FIXED.items():
        if model.get(name, wanted) != wanted:
            raise InteropError(
                f"`{name}` must be {wanted}, but is {model[name]} instead; noisewise has no such encoder"
            )
    layers = convolutions(model.get("conv_feature_layers") or "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2")
    if len({channels for channels, _, _ in layers}) != 1:
        raise InteropError(f"`conv_feature_layers` must have one width, but is {layers} instead")
    norms = {"default": "group", "layer_norm": "layer"}
    mode = model.get("extractor_mode", "default")
    if not isinstance(mode, str) or mode not in norms:
        raise InteropError(f"`extractor_mode` must be one of {', '.join(norms)}, but is {mode!r:.80} instead")
    return parse(
        Wav2Vec2Config,
        {
            **{name: model[foreign] for foreign, name in FIELDS.items() if foreign in model},
            "front_end": {
                "kind": "waveform",
                "channels": layers[0][0],
                "kernels": tuple(kernel for _, kernel, _ in layers),
                "strides": tuple(stride for _, _, stride in layers),
                "bias": model.get("conv_bias", False),
                "norm": norms[mode],
                "normalise": normalise,
            },
        },
    )


def convolutions(text: str) -> list[tuple[int, int, int]]:
    """Channels, kernels and strides of `[(512,10,5)] + [(512,3,2)] * 4`, which fairseq hands to `eval`."""
    try:
        layers = _layers(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        layers = []
    if not layers:
        raise InteropError(
            f"`conv_feature_layers` must be lists of (width, kernel, stride), but is {text!r:.80} instead"
        )
    return layers


def _layers(node: ast.expr) -> list[tuple[int, int, int]]:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _layers(left) + _layers(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int(times))) if 0 < times < 100:
            return _layers(left) * times
        case ast.List(elts=elements):
            triples = [ast.literal_eval(element) for element in elements]
            if all(len(triple) == 3 and all(type(size) is int for size in triple) for triple in triples):
                return triples
    raise ValueError(ast.dump(node))


def _settings(saved: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], bool]:
    """Settings of the wav2vec2 model itself, and whether waveforms are normalised."""
    settings = unpickle.plain(saved.get("cfg")) or unpickle.plain(saved.get("args"))
    if not isinstance(settings, dict):
        raise InteropError(f"`{path}` must hold its settings as `cfg` or `args`, but does not")
    model = _part(settings, "model")
    inner = _part(_part(model, "w2v_args"), "model") if model.get("w2v_args") else model
    kind = inner.get("_name") or inner.get("arch") or "wav2vec2"
    if kind != "wav2vec2":
        raise InteropError(f"`{path}` must hold a wav2vec2 model, but holds {kind} instead")
    places = (_part(settings, "task"), model, _part(_part(model, "w2v_args"), "task"))
    chosen = [place["normalize"] for place in places if isinstance(place.get("normalize"), bool)]
    return inner, bool(chosen and chosen[0])


def _part(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A part of the settings; older files have all of them in one piece."""
    part = settings.get(name)
    if name == "w2v_args":
        return part if isinstance(part, dict) else {}
    return part if isinstance(part, dict) else dict(settings)


def _head(inner: Mapping[str, Tensor], saved: Mapping[str, Any], path: Path, dictionary: Path | None) -> Head:
    weight, bias = inner["proj.weight"], inner.get("proj.bias")
    if bias is None or weight.dim() != 2:
        raise InteropError(f"`{path}` must hold a CTC head of weight (V, D) and bias (V,), but does not")
    letters, source = _letters(len(weight), saved, path, dictionary)
    if len(SPECIAL) + len(letters) != len(weight):
        raise InteropError(
            f"`{source}` must hold {len(weight) - len(SPECIAL)} letters, one for each output after the first four, "
            f"but holds {len(letters)} instead; give the dictionary that the model was fine-tuned with"
        )
    tokenizer, order = vocabulary.from_symbols([*SPECIAL, *letters], Names(), source)
    rows = torch.tensor(order)
    return Head(weight.float()[rows], bias.float()[rows], tokenizer)


def _letters(outputs: int, saved: Mapping[str, Any], path: Path, dictionary: Path | None) -> tuple[Sequence[str], Path]:
    """The outputs after the special ones, and where they were found."""
    beside = dictionary or path.with_name("dict.ltr.txt")
    if dictionary is not None or beside.is_file():
        try:
            lines = beside.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InteropError(f"`{beside}` must be UTF-8 text, one letter and its count a line, but is not") from error
        return [line.rsplit(" ", 1)[0] for line in lines if line.strip()], beside
    kept = unpickle.plain(saved.get("task_state"))
    inside = kept.get("target_dictionary") if isinstance(kept, dict) else None
    symbols = inside.get("symbols") if isinstance(inside, dict) else None
    if isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols):
        return symbols[len(SPECIAL) :], path
    if outputs == len(SPECIAL) + len(LETTERS):
        return LETTERS, path
    raise InteropError(f"`{path}` must stand beside its letters, dict.ltr.txt, but does not; copy them there")
