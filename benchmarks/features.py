"""Log-mel and MFCC beside kaldi-native-fbank and beside double precision, on real speech; and their speed.

    NOISEWISE_DATA=FOLDER python benchmarks/features.py [--threads 1] [--output results/features/kaldi.json]

All values are natural logarithms. `exact` is the same formula in double precision. A value is `within N dB` when its
band lies no further than N dB below the loudest band of its frame; further down, the rounding of a transform in
single precision (ours and kaldi-native-fbank's alike) is as large as what it measures.
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import kaldi_native_fbank as knf
import numpy as np
import torch
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.features import FLOOR, MFCC, LogMel, Spectrogram, mel_bands, povey_window
from noisewise.evaluation.provenance import versions

Array = NDArray[np.float32]
CORPORA = ("an4", "librispeech_mini", "ljspeech_mini", "speechocean762_adults")
DEPTHS_DB = (60, 70, 75, 80)
LIMIT = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("results/features/kaldi.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = Path(os.environ["NOISEWISE_DATA"])
    result = {
        "command": f"python benchmarks/features.py --threads {options.threads}",
        "what": "largest absolute differences, and seconds of audio per second of processor time",
        "versions": {**versions(), "kaldi-native-fbank": knf.__version__},
        "threads": options.threads,
        "audio_seconds_per_processor_second": {each.__name__: speed(each()) for each in (Spectrogram, LogMel, MFCC)},
        "agreement": {corpus: agreement(recordings(data / corpus)) for corpus in CORPORA},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def recordings(corpus: Path) -> list[Path]:
    """Every recording that the manifest of a corpus names."""
    with (corpus / "manifest.tsv").open(encoding="utf-8") as table:
        return [corpus / row["path"] for row in csv.DictReader(table, delimiter="\t")]


def agreement(paths: list[Path]) -> dict[str, Any]:
    """Largest differences over recordings, and how rare the larger ones are."""
    logmel, mfcc = LogMel(), MFCC()
    within = dict.fromkeys(DEPTHS_DB, 0.0)
    largest = {"logmel": 0.0, "mfcc": 0.0, "logmel, ours - exact": 0.0, "logmel, theirs - exact": 0.0}
    above = values = 0
    for path in paths:
        samples = waveform.load(path)
        ours, theirs, truth = one(logmel, samples), kaldi(samples, "fbank"), exact(samples)
        difference, down = np.abs(ours - theirs), (theirs.max(axis=1, keepdims=True) - theirs) * 10 / np.log(10)
        for depth in DEPTHS_DB:
            within[depth] = max(within[depth], float(difference[down < depth].max()))
        found = (difference, one(mfcc, samples) - kaldi(samples, "mfcc"), ours - truth, theirs - truth)
        for name, each in zip(largest, found, strict=True):
            largest[name] = max(largest[name], float(np.abs(each).max()))
        above, values = above + int((difference > LIMIT).sum()), values + difference.size
    return {
        "recordings": len(paths),
        "logmel values": values,
        f"logmel values that differ by more than {LIMIT:g}": above,
        "largest": {name: rounded(value) for name, value in largest.items()},
        "largest of logmel within N dB": {str(depth): rounded(value) for depth, value in within.items()},
    }


def rounded(value: float) -> float:
    return float(f"{value:.3g}")


def one(module: Spectrogram, samples: Array) -> Array:
    """The feature (F, D) of one waveform."""
    return np.asarray(module(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))[0][0].numpy())


def kaldi(samples: Array, kind: str) -> Array:
    """The feature (F, D) by kaldi-native-fbank."""
    options = knf.FbankOptions() if kind == "fbank" else knf.MfccOptions()
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = 80 if kind == "fbank" else 23
    computer = knf.OnlineFbank(options) if kind == "fbank" else knf.OnlineMfcc(options)
    computer.accept_waveform(16_000, (samples * np.float32(32768)).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])


def exact(samples: Array) -> NDArray[np.float64]:
    """Log-mel (F, 80) in double precision."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64) * 32768, 400)[::160]
    frames = frames - frames.mean(axis=1, keepdims=True)
    previous = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft((frames - 0.97 * previous) * povey_window(400), 512)) ** 2
    return np.asarray(np.log(np.maximum(power @ mel_bands(80, 512, 16_000), FLOOR)))


def speed(module: Spectrogram) -> float:
    """Seconds of audio per second of processor time, the best of 20 batches of 8 utterances of 15 s."""
    batch, lengths = 0.1 * torch.randn(8, 240_000), torch.full((8,), 240_000)
    times = []
    with torch.inference_mode():
        for _ in range(20):
            start = time.process_time()
            module(batch, lengths)
            times.append(time.process_time() - start)
    return round(120 / min(times))


if __name__ == "__main__":
    main()
