"""Models from one layout to another: noisewise, transformers and CTranslate2; files of fairseq are only read."""

from pathlib import Path
from typing import Literal

from noisewise.checkpoints import foreign, model_folder
from noisewise.checkpoints.foreign import huggingface_folder, whisper_folder
from noisewise.checkpoints.foreign.checkpoint import Checkpoint, Head
from noisewise.checkpoints.model_folder import LoadedRecogniser, Precision
from noisewise.errors import InteropError
from noisewise.models.ctc import CTC
from noisewise.models.pretrained import PretrainedConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.front_end import WaveformFrontEnd
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.models.whisper.whisper import Whisper, WhisperConfig
from noisewise.text.tokenizer import CharacterTokenizer

Layout = Literal["noisewise", "huggingface", "ctranslate2"]
LAYOUTS: tuple[Layout, ...] = ("noisewise", "huggingface", "ctranslate2")


def read(source: str | Path, dictionary: Path | None = None, language: str | None = None) -> Checkpoint:
    """Read a model in any known layout.

    Args:
        source: a folder of transformers or CTranslate2, a file of fairseq, or a model folder of noisewise.
        dictionary: the letters of a fairseq model, if they are not beside it.
        language: of a model of many languages, such as MMS; that of its tokenizer if left out.

    Raises:
        NoisewiseError: it cannot be read.
    """
    located = model_folder.locate(source)
    if located.is_foreign:
        return foreign.read(located.path, dictionary, language)
    if isinstance(model_folder.load_config(source), WhisperConfig):
        return whisper_folder.of_model(model_folder.load_stored(source).model(Whisper), located.path)
    return _checkpoint(model_folder.load(source))


def write(checkpoint: Checkpoint, folder: Path, layout: Layout, precision: Precision = "float32") -> None:
    """Write a model, whole or not at all.

    Args:
        checkpoint: the model.
        folder: a new folder.
        layout: whose folder it becomes; that of CTranslate2, which faster-whisper loads, takes a whole Whisper alone.
        precision: type of the weights in the file; int8 is of noisewise and CTranslate2.

    Raises:
        InteropError: the folder exists; what is in it is never replaced.
        InteropError: the layout cannot hold the model, such as an encoder without a CTC head in that of noisewise.
    """
    if folder.exists():
        raise InteropError(f"`{folder}` must be a new folder, but exists; choose another or remove it")
    card = f"# {folder.name}\n\nConverted by `noisewise convert` from `{checkpoint.source.name}`.\n"
    about = {"origin": checkpoint.origin}
    whisper = checkpoint.whole
    if whisper is not None and whisper.decoder and layout == "noisewise":
        whole = checkpoint.whisper()
        pieces = WhisperTokenizer.load(checkpoint.source)
        model_folder.save(folder, whole, whole.config, None, card=card, about=about, precision=precision, pieces=pieces)
        return
    if whisper is not None and layout != "noisewise":
        whisper_folder.write(folder, whisper, checkpoint.source, layout, precision)
        return
    if layout == "ctranslate2" or (layout == "huggingface" and precision != "float32"):
        raise InteropError(
            f"`{checkpoint.source}` must be a Whisper with its decoder for {layout} in {precision}, but is not"
        )
    if layout == "huggingface":
        huggingface_folder.write(folder, checkpoint)
        return
    model, config = checkpoint.ctc()
    assert checkpoint.head is not None
    model_folder.save(folder, model, config, checkpoint.head.tokenizer, card=card, about=about, precision=precision)


def _checkpoint(loaded: LoadedRecogniser) -> Checkpoint:
    """A model of noisewise in the form that the writers of other layouts take."""
    encoder = loaded.config.encoder
    plain = (
        isinstance(encoder, Wav2Vec2Config)
        and isinstance(encoder.front_end, WaveformFrontEnd)
        and not encoder.convolution_kernel
    )
    known = plain or isinstance(encoder, PretrainedConfig)
    if not isinstance(loaded.model, CTC) or not isinstance(encoder, Wav2Vec2Config | PretrainedConfig) or not known:
        raise InteropError(
            f"`{loaded.folder}` must hold CTC over a wav2vec 2.0 encoder of the waveform, but holds "
            f"{loaded.config.kind} over {encoder.kind} instead, which transformers does not know"
        )
    if not isinstance(loaded.tokenizer, CharacterTokenizer):
        raise InteropError(
            f"`{loaded.folder}` must have letters as tokens, but has subwords, which CTC of transformers does not know"
        )
    head = Head(loaded.model.head.weight, loaded.model.head.bias, loaded.tokenizer, loaded.config.dropout)
    weights = loaded.model.encoder.state_dict()
    return Checkpoint(loaded.folder, encoder, weights, head, origin=loaded.about.get("origin", {}))
