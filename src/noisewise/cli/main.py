"""The `noisewise` command: a table of verbs, each in a file of its own, imported only when it is called."""

import sys
from collections.abc import Sequence
from importlib import import_module

from noisewise import __version__

VERBS = {
    "demo": "transcribe the bundled noisy recordings and compare with the references",
    "transcribe": "turn audio files into text, subtitles or a table",
    "serve": "recognisers and taggers behind a port: the transcription API of OpenAI",
    "align": "times of each word and letter of a known text, as TextGrid, CTM, JSON or subtitles",
    "tag": "name the sounds in audio files, with probabilities and times",
    "evaluate": "error rates of a recogniser, or scores of a tagger, by noise type and signal-to-noise ratio",
    "compare": "grids of several recognisers side by side: differences, intervals, tests",
    "card": "the robustness of a recogniser on one page, from its grid and its degradations",
    "label": "transcripts for speech that has none, by recognisers, where they are sure or agree",
    "prepare": "turn a corpus, or your own folder or table, into validated manifests",
    "check": "problems of a corpus: broken audio, transcripts, duplicates, leaks",
    "mix": "write, rebuild or verify a fixed set of noisy recordings",
    "train": "train a model from a recipe",
    "embed": "embeddings of a frozen encoder, for every clip of a manifest or its frames, in a store",
    "probe": "accuracy of linear and nearest-neighbour classifiers on the embeddings of `noisewise embed`",
    "reproduce": "the experiments of a paper from one plan: train, measure, print its tables",
    "lm": "train n-gram language models from text; measure them and Transformers, tune their weights for a model",
    "convert": "a checkpoint of transformers or fairseq to a model folder, or back; compare with transformers",
    "flops": "parameters and operations of a model, module by module, under a stated convention",
    "inspect": "look inside a Wav2code: code accuracy by SNR, its codebook, what it restores",
    "plot": "draw waveform, spectrogram, log-mel and MFCC of a recording",
    "doctor": "show what is installed, what is missing, and what each extra enables",
}
"""Verb to one-line help; the verb is also the name of its module in `noisewise.cli`."""

EXTRAS = {
    "lhotse": "train",
    "fsspec": "train",
    "threadpoolctl": "train",
    "tokenizers": "train",
    "lightning_fabric": "train",
    "matplotlib": "figures",
    "sklearn": "figures",
    "av": "media",
    "tensorboard": "tracking",
    "piper": "speech",
    "transformers": "hf",
    "huggingface_hub": "hf",
    "starlette": "serve",
    "uvicorn": "serve",
    "h11": "serve",
    "prometheus_client": "serve",
    "python_multipart": "serve",
    "websockets": "serve",
    "faster_whisper": "whisper",
    "onnx_asr": "onnx",
}
"""Module to the extra that brings it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: words after `noisewise`; those of the process when left out.

    Returns:
        Exit status: 0 well, 1 some items of several failed, 2 the request cannot be met, 130 interrupted (SIGINT),
        143 ended (SIGTERM).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        return _shown(overview())
    if words[0] in ("-V", "--version"):
        return _shown(f"noisewise {__version__}")
    from noisewise.cli import streams

    with streams.escaping():
        try:
            status = run(words[0], words[1:]) if words[0] in VERBS else refuse(unknown(words[0]))
            sys.stdout.flush()
            return status
        except streams.ReaderGone:
            streams.close_quietly()
            return 0
        except OSError as error:
            return _refused_output(error)


def _shown(text: str) -> int:
    """Print a text, with nothing imported unless that fails."""
    try:
        print(text, flush=True)
    except OSError as error:
        return _refused_output(error)
    return 0


def _refused_output(error: OSError) -> int:
    """The status where standard output takes no more: 0 where its reader has gone."""
    from noisewise.cli import streams

    streams.close_quietly()
    if isinstance(error, BrokenPipeError):
        return 0
    return refuse(streams.sentence(error, "standard output") or str(error))


def overview() -> str:
    """The text of `noisewise --help`."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            "Speech recognition that works in noise: measure robustness, train for it, use it.",
            "",
            "Usage: noisewise VERB ...        noisewise VERB --help        noisewise --version",
            "",
            *lines,
        ]
    )


def unknown(verb: str) -> str:
    """A sentence about a verb that does not exist, with the nearest one that does."""
    from difflib import get_close_matches

    near = get_close_matches(verb, VERBS, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "see `noisewise --help`"
    return f"verb must be one of {', '.join(VERBS)}, but is '{verb}' instead; {hint}"


def run(verb: str, words: list[str]) -> int:
    """Import the module of a verb, hand it its words, and turn a user's error into one line."""
    from noisewise.cli import streams
    from noisewise.errors import NoisewiseError, install_line, lacks_memory

    signals = streams.Signals()
    try:
        with signals:
            return _called(verb, words)
    except streams.ReaderGone:
        raise
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return signals.status if status == 130 else status
    except KeyboardInterrupt:
        return signals.status
    except NoisewiseError as error:
        refuse(str(error))
        return error.exit_status
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        return refuse(f"`{verb}` needs {module}; install it with: {install_line(EXTRAS[module])}")
    except Exception as error:
        if lacks_memory(error):
            return refuse(
                f"`{verb}` must have more memory than there is ({str(error)[:200] or 'MemoryError'}); take smaller "
                "batches or windows, or end other programs, and run the same command again"
            )
        line = streams.sentence(error, verb)
        if line is None:
            raise
        return refuse(line)


def _called(verb: str, words: list[str]) -> int:
    import typer

    from noisewise.cli.lists import spread

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    chosen = import_module(f"noisewise.cli.{verb}")
    for name, command in getattr(chosen, "COMMANDS", {None: getattr(chosen, "command", None)}).items():
        app.command(name)(command)
    words = spread(words, getattr(chosen, "LISTS", ()))
    status = app(words, prog_name=f"noisewise {verb}", standalone_mode=True)
    return int(status or 0)


def refuse(sentence: str) -> int:
    """Print in one line on stderr why the request cannot be met."""
    print(f"noisewise: {' '.join(sentence.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
