"""Noisewise: speech recognition and audio understanding that work in noise.

The names below are loaded when first used, so `import noisewise` imports neither torch nor anything heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noisewise.audio.waveform import load as load_audio
    from noisewise.inference.recogniser import Recogniser, Transcript
    from noisewise.inference.recogniser import load as load
    from noisewise.inference.tagger import Tagger

__version__ = "0.2.0"

_HOMES = {
    "load": ("noisewise.inference.recogniser", "load"),
    "Recogniser": ("noisewise.inference.recogniser", "Recogniser"),
    "Transcript": ("noisewise.inference.recogniser", "Transcript"),
    "Tagger": ("noisewise.inference.tagger", "Tagger"),
    "load_audio": ("noisewise.audio.waveform", "load"),
}

__all__ = ["Recogniser", "Tagger", "Transcript", "__version__", "load", "load_audio"]


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'noisewise' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """Public names, for completion."""
    return __all__
