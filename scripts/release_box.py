# ruff: noqa: E501 - the card is Markdown, whose table rows cannot be wrapped
"""Put a trained Whisper into the package as the model in the box, with a card filled from measured results.

    python scripts/release_box.py runs/box/best --least-confidence 0.3   # weights, then the card
    python scripts/release_box.py                                        # the card alone, after a new measurement

The tables come from the grids in `results/box/` (written by `noisewise evaluate --model box`), and only from those that
measured the very weights in the box; where there is none, the card says that they are not measured.
"""

import argparse
import json
from pathlib import Path, PurePosixPath
from typing import Any

from noisewise.checkpoints import model_folder
from noisewise.decoding import saved_config
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.whisper.config import WhisperSearchConfig
from noisewise.evaluation.result import GridResult
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.reports import tables as table

ROOT = Path(__file__).parent.parent
BOX = ROOT / "src" / "noisewise" / "assets" / "box"
RESULTS = ROOT / "results" / "box"
LIMIT_BYTES = 45_000_000
"""Most that the weights may weigh, for they lie in the package."""
VALUES = ("least_confidence", "window_seconds", "lead_seconds", "trail_seconds")
"""Values of config.json that recognition uses, chosen on development speech and training noise."""

LICENCE = """The weights in this folder (`model.safetensors`) began as those of OpenAI's Whisper tiny.en and were trained on;
`tokenizer.json` is Whisper's. Whisper's code and weights come under this licence:

MIT License

Copyright (c) 2022 OpenAI

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

CARD = """# The model in the box

A recogniser of English speech in noise: OpenAI's Whisper tiny.en, trained on in noise, with a CTC head over letters on
its encoder. The decoder writes the text, with case and punctuation; the head gives the times and the confidences of
words, ranks the hypotheses of a beam search together with the decoder, and finds hotwords.
{parameters:.1f} M parameters ({encoder:.1f} M of them the encoder), {megabytes:.1f} MB: matrices and convolutions in int8
with a scale for each output, the rest in half and single precision; widened to float32 when loaded.
SHA-256 of `model.safetensors`: `{hash}`.

## What it can do
{measured}

## What it cannot do
It knows no language but English, does not translate, and does not tell speakers apart. It is a small model: rare names
and words of trades come out as words that sound alike; hotwords help. It learned spelled letters, digits and dates from
AN4, so it writes numbers in words ("twenty seven") more often than Whisper does, and sometimes in digits all the same:
compare texts with the normaliser `english-spoken`. Most training speakers are American readers of books; others,
children, accents, singing and far microphones fare worse. Text in noise without speech is kept down by
{least_confidence}, but not ruled out. A text can be fluent and wrong: look at the confidences.

## Training data and licences
| data | used for | licence |
| --- | --- | --- |
| Whisper tiny.en (OpenAI) | weights that training began with, and the tokenizer | MIT (`LICENSE` in this folder) |
| CMU AN4 (census alphanumeric database), training split, 66 of 74 speakers | speech | AN4 terms, BSD-style, any purpose |
| speechocean762, adults, training split but for ten speakers | speech | free for commercial and other use (Apache-2.0 in the authors' mirror) |
| LibriSpeech train-clean-100, a part, labelled by Whisper base | speech, without its own transcripts | CC BY 4.0, Vassil Panayotov |
| environmental noises, training split (Moodist, Noisekun, noice, Blanket, Picovoice, Speech Commands, ESC-50) | noise | CC0, CC BY, Pixabay, and others by recording |
| five room impulse responses (SpeechBrain, lhotse, audiomentations samples) | reverberation | Apache-2.0, MIT |

Held back to choose the step: eight speakers of AN4 (fclc, fjam, fnsv, mblw, mdxn, mgah, mjhp, mtje), ten of
speechocean762, every tenth reader of LibriSpeech, and recordings of each type of noise. AN4 test, the other test sets
and the test recordings of the noise set were not trained on, and chose nothing. Of the 130 sentences of AN4 test, 25
short commands also stand in its training set, said by others.

## How to rebuild it
```
export NOISEWISE_DATA=...        # a folder with an4, speechocean762_adults, noise, librispeech_unlabelled, rir
noisewise label $NOISEWISE_DATA/librispeech_unlabelled --model "whisper:base?beam=5" --output runs/labels/librispeech.jsonl.gz
noisewise train recipes/whisper/box.yaml
python scripts/release_box.py runs/box/best{options}
```
`config.json` holds every value of the training, and the step, {step}. Sums of floating point numbers differ in their
last digits between machines and numbers of threads, so a rebuilt model is alike, not identical.
"""


def main() -> None:
    """Write the weights of a run, if one is given, and the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="folder of the trained model")
    parser.add_argument("--beam", type=int, help="hypotheses of the search; greedy if left out")
    parser.add_argument("--ctc-weight", type=float, help="share of the CTC head when hypotheses are ranked")
    for name in VALUES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float)
    options = parser.parse_args()
    if options.run is not None:
        release(options)
    (BOX / "README.md").write_text(card(), encoding="utf-8")


def release(options: argparse.Namespace) -> None:
    """Write the box: weights in int8, both tokenizers, the licence of Whisper, and decoding.json if it has a search."""
    source = model_folder.load(options.run)
    about = {name: value for name, value in source.about.items() if name not in ("format", "model", *VALUES)}
    about["recipe"], about["languages"] = shortened(about.get("recipe")), ["en"]
    about |= {name: value for name in VALUES if (value := getattr(options, name)) is not None}
    model_folder.save(
        BOX,
        source.model,
        source.config,
        source.tokenizer,
        card="",
        about=about,
        precision="int8",
        pieces=source.pieces,
    )
    tokenizer = BOX / WhisperTokenizer.FILE
    values = json.loads(tokenizer.read_text(encoding="utf-8"))
    tokenizer.write_text(json.dumps(values, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (BOX / "LICENSE").write_text(LICENCE, encoding="utf-8")
    chosen = {"beam": options.beam, "ctc_weight": options.ctc_weight}
    if search := {name: value for name, value in chosen.items() if value is not None}:
        saved_config.write(BOX, DecodingConfig(whisper=WhisperSearchConfig(**search)))
    size = (BOX / model_folder.WEIGHTS).stat().st_size
    if size > LIMIT_BYTES:
        raise SystemExit(f"the weights must be {LIMIT_BYTES / 1e6:g} MB at most, but are {size / 1e6:.1f} MB")


def shortened(value: Any) -> Any:
    """Plain values whose paths lead nowhere but into the data folder: of others the last two names stay."""
    if isinstance(value, dict):
        return {name: shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    is_path = isinstance(value, str) and value.startswith("/")
    return "/".join(PurePosixPath(value).parts[-2:]) if is_path else value


def card() -> str:
    """The model card of the weights that are in the box now."""
    box = model_folder.load(BOX)
    least = box.about.get("least_confidence")
    return CARD.format(
        parameters=sum(each.numel() for each in box.model.parameters()) / 1e6,
        encoder=sum(each.numel() for each in box.model.encoder.parameters()) / 1e6,  # type: ignore[union-attr]
        megabytes=(BOX / model_folder.WEIGHTS).stat().st_size / 1e6,
        hash=model_folder.weights_hash(BOX),
        measured=measured(),
        least_confidence=f"leaving out words of a confidence below {least:g}" if least else "its training",
        options="".join(f" --{name.replace('_', '-')} {box.about[name]:g}" for name in VALUES if name in box.about),
        step=box.about["step"],
    )


def measured() -> str:
    """A table for each grid in `results/box/` that belongs to these weights."""
    weights = model_folder.weights_hash(BOX)
    grids = {path: GridResult.load(path) for path in sorted(RESULTS.glob("*.json"))}
    parts = [
        f"{result.items} utterances of {result.groups} speakers, `{result.config.manifest}`, scored under "
        f"`{result.config.normaliser}` (`results/box/{path.name}`); corpus WER in percent with 95 % bootstrap intervals:\n\n"
        + table.markdown([result])
        for path, result in grids.items()
        if weights in json.dumps(result.system_details)
    ]
    return "\n".join(parts).rstrip("\n") if parts else "Not measured yet."


if __name__ == "__main__":
    main()
