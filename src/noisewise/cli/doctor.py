"""`noisewise doctor`: what is installed, what is missing, and what each extra enables."""

import json
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

EXTRAS = {
    "train": (("lhotse", "lightning-fabric"), "training, and corpora packed in shards"),
    "figures": (("matplotlib", "scikit-learn"), "`noisewise plot`, `noisewise inspect`, heat maps of evaluations"),
    "media": (("av",), "m4a, webm and video files"),
    "tracking": (("tensorboard",), "training curves in TensorBoard"),
    "speech": (("piper-tts",), "Piper voices in `noisewise prepare spoken-text`"),
    "lm": (("flashlight-text",), "language models read by KenLM; not needed for ARPA files"),
    "hf": (("transformers",), "checkpoints of transformers as systems under test: `evaluate --model hf:...`"),
    "serve": (("starlette", "uvicorn", "python-multipart", "prometheus-client", "websockets"), "`noisewise serve`"),
    "whisper": (("faster-whisper",), "Whisper as a recogniser: `--model whisper:tiny.en`"),
    "onnx": (("onnx-asr",), "models of ONNX (Parakeet, Canary, GigaAM, ...) as recognisers: `--model onnx:...`"),
    "docs": (("mkdocs-material", "mkdocstrings"), "the documentation site, `make docs`"),
    "dev": (("pytest", "ruff", "mypy"), "the tests and checks of the project"),
}
"""Extra to the distributions it is known by, and what it is for."""
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""Instruction sets that decide how fast a model runs, as Linux names them."""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a bug report.")] = False,
) -> None:
    """Show what is installed, what is missing, and what each extra enables."""
    report = {
        "noisewise": _versions(),
        "cpu": _cpu(),
        "gpu": _gpu(),
        "extras": {name: _extra(name) for name in EXTRAS},
        "audio formats": _formats(),
        "model in the box": _box(),
    }
    if as_json:
        print(json.dumps(report, indent=2))
        return
    for title, lines in report.items():
        print(title)
        for name, value in lines.items():
            print(f"  {name:<12}  {value}")


def _version(distribution: str) -> str | None:
    """Version of an installed distribution, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _versions() -> dict[str, Any]:
    import torch

    from noisewise import __version__

    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "numpy": _version("numpy"),
        "soundfile": _version("soundfile"),
    }


def _cpu() -> dict[str, Any]:
    import os

    import torch

    return {
        "model": _cpu_info("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "best kernels": torch.backends.cpu.get_cpu_capability(),
        "features": " ".join(_cpu_features()) or "unknown here",
        "bfloat16": _bfloat16(),
    }


def _bfloat16() -> str:
    """Whether a convolution of narrow groups comes out in bfloat16 as in float32."""
    import torch
    import torch.nn.functional as F

    generator = torch.Generator().manual_seed(0)
    features, weight = (torch.randn(shape, generator=generator) for shape in ((1, 24, 64), (24, 12, 16)))
    exact = F.conv1d(features, weight, groups=2)
    found = F.conv1d(features.bfloat16(), weight.bfloat16(), groups=2).float()
    if (found - exact).norm() < 0.05 * exact.norm():
        return "grouped convolutions are right"
    return "grouped convolutions are wrong (PyTorch's); noisewise computes its own in float32, other packages may not"


def _cpu_info(key: str) -> str:
    """A line of Linux's description of the first core; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == key), "")


def _cpu_features() -> list[str]:
    flags = set((_cpu_info("flags") or _cpu_info("Features")).split())
    return [feature for feature in CPU_FEATURES if feature in flags]


def _gpu() -> dict[str, Any]:
    import torch

    if torch.cuda.is_available():
        return {f"cuda:{index}": torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    if torch.backends.mps.is_available():
        return {"mps": "Apple GPU"}
    built = torch.version.cuda or torch.version.hip
    return {"none": "torch finds no device" if built else "this build of torch is for the CPU only"}


def _extra(name: str) -> str:
    from noisewise.errors import install_line

    distributions, gives = EXTRAS[name]
    missing = [each for each in distributions if _version(each) is None]
    if not missing:
        return "present: " + ", ".join(f"{each} {_version(each)}" for each in distributions)
    return f"missing {', '.join(missing)}; for {gives}: {install_line(name)}"


def _formats() -> dict[str, str]:
    from noisewise.audio.waveform import readable_formats

    media = "PyAV: m4a, mp4, webm, mkv, ..." if _version("av") else "none; see the extra `media`"
    return {"libsndfile": " ".join(readable_formats()), "further": media}


def _box() -> dict[str, Any]:
    from noisewise.checkpoints.model_folder import locate, weights_hash
    from noisewise.errors import ModelError

    try:
        (weights,) = locate("box").weight_files
        return {"sha256": weights_hash("box"), "size": f"{weights.stat().st_size / 1e6:.1f} MB"}
    except ModelError as error:
        print(f"noisewise: {error}", file=sys.stderr)
        return {"missing": "install the package again"}
