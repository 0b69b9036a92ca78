"""A wav2vec 2.0 CTC folder of transformers with random weights, for the path and not for the score (extra `hf`).

    python benchmarks/recognisers/random_wav2vec2.py random_wav2vec2
    noisewise evaluate ... --model hf:random_wav2vec2

The shape is tiny, the seed is fixed, and the same weights come out each time (their SHA-256 is in the result). The head
is sharpened so that the model babbles words, where plain random weights would say one letter for ever.
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, set_seed

SYMBOLS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
SHARPER = 8.0
"""Factor on the weights of the head."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to make")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write(options.folder, options.seed)


def write(folder: Path, seed: int = 0) -> None:
    set_seed(seed)
    config = Wav2Vec2Config(
        vocab_size=len(SYMBOLS),
        pad_token_id=0,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        conv_dim=[32] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    model = Wav2Vec2ForCTC(config).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(SHARPER)
        model.lm_head.bias[[SYMBOLS.index("<pad>"), SYMBOLS.index("|")]] += 1.0
    model.save_pretrained(folder)
    for name, values in (
        ("vocab.json", {symbol: index for index, symbol in enumerate(SYMBOLS)}),
        ("tokenizer_config.json", {"tokenizer_class": "Wav2Vec2CTCTokenizer"}),
        ("preprocessor_config.json", {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True}),
    ):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
