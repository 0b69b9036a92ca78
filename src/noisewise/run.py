"""A run of a recipe: assemble what it describes, train it, test the best model.

`assemble` is the one place where families of models (speech, tagging, text) differ; training and testing are the same
for all.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from noisewise import __version__, models, tasks
from noisewise.checkpoints import foreign, model_folder
from noisewise.checkpoints.transfer import transfer_weights
from noisewise.config import dump, dump_yaml, load, training_only
from noisewise.data.checks import targets
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.loader import read_labels
from noisewise.data.loading.recordings import RecordingSource
from noisewise.data.loading.text import TextConfig, TextSource
from noisewise.data.loading.text import read as read_sentences
from noisewise.data.manifests.labels import Labels
from noisewise.data.manifests.read import read_many, source_of
from noisewise.data.manifests.transcripts import read_transcripts
from noisewise.errors import ConfigError
from noisewise.files import remove_leftovers, replaced
from noisewise.models import AcousticConfig, AcousticModel
from noisewise.models.cat.tagger import CATTaggerConfig
from noisewise.models.lm import TransformerLMConfig
from noisewise.models.whisper.encoder import WhisperEncoderConfig
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.models.whisper.weights import fetch
from noisewise.models.whisper.whisper import WhisperConfig
from noisewise.recipe import Recipe, essence
from noisewise.text import subword
from noisewise.text.normalise import Normaliser, choose, fitting
from noisewise.text.subword import CharacterConfig, SubwordConfig, SubwordTokenizer, TokenizerConfig
from noisewise.text.tokenizer import CharacterTokenizer, Tokenizer
from noisewise.text.vocabulary import Vocabulary
from noisewise.training import trackers
from noisewise.training.loop import Progress, Trainer, fabric_for
from noisewise.training.processes import lost_process
from noisewise.training.sole_writer import sole_writer
from noisewise.training.task import Task

logger = logging.getLogger(__name__)

TEST = "test.json"
"""File of a run's folder with what the best model reaches on the test set."""


@dataclass(frozen=True)
class Assembly:
    """What a recipe describes, built and ready to be trained."""

    tokenizer: Tokenizer
    """Tokens of transcripts: those of the recipe, or single letters where the model has no transcripts."""
    labels: Labels | None
    """Classes of a tagger; None for other models."""
    vocabulary: Vocabulary | None
    """Tokens of a language model; None for other models."""
    model: models.AnyModel
    """The model, from the seed of the run or from `start_from`."""
    task: Task
    """Loss, validation and release of the model."""
    source: RecordingSource | TextSource
    """Where batches come from."""
    release_config: Any
    """Configuration that is released with the model, one of `ModelConfig`."""
    pieces: WhisperTokenizer | None = None
    """Tokens of the decoder of a Whisper; None for other models."""


def train(recipe: Recipe, folder: Path, watch: Callable[[Progress], None] = lambda progress: None) -> dict[str, float]:
    """Run a recipe in a folder, from its newest checkpoint if it has one; returns the last validation's metrics.

    Args:
        recipe: what is run.
        folder: the run's folder; made if it is not there.
        watch: called with the progress, now and then.

    Raises:
        ConfigError: the recipe contradicts itself, its data, or the run that the folder holds.
        NoisewiseError: data or model to start from cannot be used.
        LostProcess: another process of the run has ended, or is silent.
        OSError: the disk is full, or cannot be written to; the same call goes on when there is room.
    """
    with lost_process(recipe.run.devices * recipe.run.nodes, recipe.run.timeout_seconds):
        trainer, assembly = prepare(recipe, folder)
        metrics = trainer.train(watch)
    if recipe.test is not None and trainer.fabric.is_global_zero and not was_tested(folder):
        _test(recipe, folder, assembly, trainer.fabric.device)
    return metrics


def prepare(recipe: Recipe, folder: Path) -> tuple[Trainer, Assembly]:
    """Claim a run's folder and assemble its recipe, up to the first step; a run that the folder holds is resumed.

    Raises:
        ConfigError: see `train`.
    """
    trackers.must_have(recipe.run.trackers)
    fabric = fabric_for(recipe.run)
    if fabric.is_global_zero:
        sole_writer(folder)
        remove_leftovers(folder)
        prepare_folder(recipe, folder)
    fabric.barrier()
    assembly = assemble(recipe, folder)
    trainer = Trainer(
        assembly.task,
        assembly.source,
        folder,
        run=recipe.run,
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        recipe=dump(recipe),
        version=__version__,
        release_config=assembly.release_config,
        fabric=fabric,
    )
    return trainer, assembly


def assemble(recipe: Recipe, folder: Path) -> Assembly:
    """Build everything that a recipe describes.

    Args:
        recipe: what is built.
        folder: the run's folder. Tokens that are learned from text are kept in it, and read from it when the run goes
            on.

    Raises:
        ConfigError: the recipe contradicts itself or its data.
        NoisewiseError: data or model to start from cannot be used.
    """
    torch.manual_seed(recipe.run.seed)
    match recipe.model:
        case TransformerLMConfig():
            return _assemble_text(recipe, recipe.model, folder)
        case CATTaggerConfig():
            return _assemble_tagging(recipe, recipe.model, folder)
    return _assemble_speech(recipe, folder)


def _assemble_speech(recipe: Recipe, folder: Path) -> Assembly:
    """Models of recordings, with or without transcripts."""
    train, validation = data_sets(recipe)
    tokenizer, normaliser = _tokenizer(recipe, train, folder)
    config: Any = recipe.model
    if isinstance(config, AcousticConfig):
        if config.vocabulary is None:
            config = replace(config, vocabulary=len(tokenizer))
        elif config.vocabulary != len(tokenizer):
            raise ConfigError(
                f"`model.vocabulary` must be {len(tokenizer)}, the tokens of the tokenizer, but is {config.vocabulary} "
                "instead; write null for as many as there are"
            )
    if isinstance(getattr(config, "encoder", None), WhisperEncoderConfig) and recipe.start_from is not None:
        config = _sized(config, recipe.start_from)
    model = _model(recipe, config, tokenizer)
    pieces = _pieces(recipe, folder) if isinstance(config, WhisperConfig) else None
    task = tasks.build(recipe.task, model, tokenizer, pieces=pieces)
    encode = tokenizer.encode if task.needs_text else None
    source = RecordingSource(
        train, validation, recipe.test, encode=encode, seed=recipe.run.seed, normalise=normaliser
    )  # fmt: skip
    if encode is not None and isinstance(model, AcousticModel):
        report = targets.look(train, encode, normaliser, model.hop)
        report.refuse_nothing(normaliser.name)
        for line in report.lines(normaliser.name):
            logger.warning(line)
    source.check()
    return Assembly(tokenizer, None, None, model, task, source, config, pieces)


def _assemble_tagging(recipe: Recipe, config: CATTaggerConfig, folder: Path) -> Assembly:
    """Models that give each recording labels; the classes are those of the training set."""
    train, validation = data_sets(recipe)
    (tokenizer, _), labels = _tokenizer(recipe, train, folder), read_labels(train)
    if len(labels) != config.classes:
        raise ConfigError(
            f"`model.classes` must be {len(labels)}, as many as the training set has, but is {config.classes} instead"
        )
    model = _model(recipe, config, tokenizer)
    task = tasks.build(recipe.task, model, tokenizer, labels.names)
    encode = tokenizer.encode if task.needs_text else None
    source = RecordingSource(train, validation, recipe.test, encode=encode, labels=labels, seed=recipe.run.seed)
    source.check()
    return Assembly(tokenizer, labels, None, model, task, source, config)


def _assemble_text(recipe: Recipe, config: TransformerLMConfig, folder: Path) -> Assembly:
    """Language models, whose size follows the tokens that the text has."""
    if not isinstance(recipe.tokenizer, CharacterConfig) or recipe.test is not None:
        raise ConfigError(
            "`tokenizer` and `test` must be left out for a language model, but are given; `model.unit` chooses its "
            "tokens"
        )
    train, validation = _text(recipe.train), _text(recipe.validation)
    tokenizer, vocabulary = CharacterTokenizer(), _vocabulary(recipe, config, folder)
    config = replace(config, vocabulary=len(vocabulary))
    model = _model(recipe, config, tokenizer)
    task = tasks.build(recipe.task, model, tokenizer, vocabulary=vocabulary)
    characters = config.unit == "characters"
    source = TextSource(train, validation, vocabulary.encode, characters=characters, seed=recipe.run.seed)
    return Assembly(tokenizer, None, vocabulary, model, task, source, config)


def data_sets(recipe: Recipe) -> tuple[DataConfig, DataConfig]:
    """The recordings that a recipe learns from, and those that choose its best checkpoint.

    Raises:
        ConfigError: the papers' protocol is asked for, and there is no test set; or they are text.
    """
    train, validation = _recordings(recipe.train), _recordings(recipe.validation)
    if not recipe.papers_protocol:
        return train, validation
    if recipe.test is None:
        raise ConfigError("`test` must be given with `papers_protocol`, but is missing; name the test set")
    return replace(train, manifests=[*train.manifests, *validation.manifests]), recipe.test


def _recordings(data: DataConfig | TextConfig) -> DataConfig:
    if isinstance(data, TextConfig):
        raise ConfigError("`train` and `validation` must be recordings, but are text; take `model.kind: lm` for text")
    return data


def _text(data: DataConfig | TextConfig) -> TextConfig:
    if isinstance(data, DataConfig):
        raise ConfigError("`train.kind` and `validation.kind` must be text for a language model, but are recordings")
    return data


def _tokenizer(recipe: Recipe, train: DataConfig, folder: Path) -> tuple[Tokenizer, Normaliser]:
    """Letters, or subwords: those of the folder, of the named model, or learned from the training transcripts; and the
    form of the transcripts."""
    wanted = recipe.tokenizer
    name = wanted.normaliser or ("unicode" if wanted.letters == "text" else "english")
    if isinstance(wanted, CharacterConfig) and wanted.letters == "english":
        return CharacterTokenizer(), choose(name)
    path = folder / (CharacterTokenizer if isinstance(wanted, CharacterConfig) else SubwordTokenizer).FILE
    found: Tokenizer
    if _has_run(folder) and path.is_file():
        found = subword.load(folder)
    else:
        found = _new_tokenizer(recipe, wanted, train, choose(name))
        folder.mkdir(parents=True, exist_ok=True)
        found.save(path)
    of_model = wanted.letters == "model" or (isinstance(wanted, SubwordConfig) and wanted.source is not None)
    return found, fitting(found.symbols) if of_model and wanted.normaliser is None else choose(name)


def _new_tokenizer(recipe: Recipe, wanted: TokenizerConfig, train: DataConfig, normaliser: Normaliser) -> Tokenizer:
    """The tokens of a run that begins."""
    if isinstance(wanted, SubwordConfig):
        if wanted.source is not None:
            return SubwordTokenizer.load(model_folder.locate(wanted.source).path / SubwordTokenizer.FILE)
        letters: Sequence[str] = subword.LETTERS
        if wanted.letters == "text":
            letters = subword.letters_tokenizer(read_transcripts(train, normaliser), wanted.size).symbols[2:]
        return subword.learn(read_transcripts(train, normaliser), wanted.size, least=wanted.least, letters=letters)
    if wanted.letters == "text":
        return subword.letters_tokenizer(read_transcripts(train, normaliser), wanted.most)
    found = None if recipe.start_from is None else tokenizer_of(recipe.start_from)
    if found is None:
        raise ConfigError(
            "`tokenizer.letters` must be english or text where `start_from` names no model with tokens, but is model; "
            "take text for the letters of the training transcripts"
        )
    return found


def tokenizer_of(name: str) -> Tokenizer | None:
    """The tokenizer of a model, of this project or another; None for a model without tokens.

    Raises:
        ModelError: there is no such model.
        InteropError: a checkpoint of another project cannot be used.
    """
    located = model_folder.locate(name)
    if located.is_foreign:
        head = foreign.read(located.path).head
        return None if head is None else head.tokenizer
    return subword.load(located.path) if subword.is_in(located.path) else None


def _sized(config: Any, start_from: str) -> Any:
    """A model on the encoder of a Whisper, of the sizes of what it starts from; no source is read then."""
    stored = model_folder.load_config(start_from)
    encoder = getattr(stored, "encoder", stored)
    if not isinstance(encoder, WhisperEncoderConfig):
        return config
    parts: dict[str, Any] = {"encoder": replace(_kept(config.encoder, encoder), source="")}
    if isinstance(config, WhisperConfig) and isinstance(stored, WhisperConfig):
        parts["decoder"] = _kept(config.decoder, stored.decoder)
    return replace(config, **parts)


def _kept(config: Any, stored: Any) -> Any:
    """A stored configuration, with the values of another that are for training alone."""
    return replace(stored, **{name: getattr(config, name) for name in training_only(type(stored))})


def _pieces(recipe: Recipe, folder: Path) -> WhisperTokenizer | None:
    """The tokens of the decoder of a Whisper: those of the folder, or of what training begins with; None where that has
    none."""
    kept = folder / WhisperTokenizer.FILE
    if _has_run(folder) and kept.is_file():
        return WhisperTokenizer.load(kept)
    source = getattr(getattr(recipe.model, "encoder", None), "source", "")
    begun = None if recipe.start_from is None else model_folder.locate(recipe.start_from).path
    if begun is None or not (begun / WhisperTokenizer.FILE).is_file():
        begun = fetch(source) if source else None
    if begun is None:
        return None
    pieces = WhisperTokenizer.load(begun)
    folder.mkdir(parents=True, exist_ok=True)
    pieces.save(kept)
    return pieces


def _vocabulary(recipe: Recipe, config: TransformerLMConfig, folder: Path) -> Vocabulary:
    """The tokens of a language model: those of the text, or of the model that it starts from; kept in the folder.

    Raises:
        ConfigError: the folder holds a run with other ones.
    """
    if recipe.start_from is not None:
        found = Vocabulary.load(model_folder.locate(recipe.start_from).path / Vocabulary.FILE)
    elif config.unit == "characters":
        found = Vocabulary.of_characters(_characters(_text(recipe.train)))
    else:
        found = Vocabulary.of_words(read_sentences(_text(recipe.train)), config.vocabulary)
    path = folder / Vocabulary.FILE
    if _has_run(folder) and Vocabulary.load(path).tokens != found.tokens:
        raise ConfigError(f"`train` must hold the text that {folder} was begun with, but its words differ; put it back")
    if not path.is_file() or not _has_run(folder):
        folder.mkdir(parents=True, exist_ok=True)
        found.save(path)
    return found


def _characters(train: TextConfig) -> Sequence[str] | None:
    """Symbols of a text whose normaliser is not English; None for one of English."""
    if train.normaliser == "english":
        return None
    texts = (" ".join(words) for words in read_sentences(train))
    return subword.letters_tokenizer(texts, CharacterConfig().most).symbols


def _model(recipe: Recipe, config: Any, tokenizer: Tokenizer) -> models.AnyModel:
    """A model from the random state, or with weights from `start_from`."""
    model = models.build(config)
    if recipe.start_from is None:
        return model
    located = model_folder.locate(recipe.start_from)
    if located.is_foreign:
        taken = foreign.read(located.path).begin(model, tokenizer)
        logger.info("start_from %s: taken: %s", recipe.start_from, ", ".join(taken))
        return model
    stored = model_folder.load_stored(located.path)
    same_vocabulary = True
    if isinstance(stored.config, AcousticConfig):
        has_tokens = subword.is_in(stored.folder)
        theirs = subword.load(stored.folder).symbols if has_tokens else []
        same_vocabulary = theirs == tokenizer.symbols if has_tokens else stored.config.vocabulary != 0
    done = transfer_weights(stored, model, config.kind, same_vocabulary=same_vocabulary)
    logger.info("start_from %s: %s", recipe.start_from, done)
    return model


def prepare_folder(recipe: Recipe, folder: Path) -> None:
    """Write `recipe.yaml` into a run's folder, or check that it is the one already there.

    Raises:
        ConfigError: as `check_folder`.
    """
    check_folder(recipe, folder)
    with replaced(folder / "recipe.yaml") as file:
        file.write(dump_yaml(recipe))


def check_folder(recipe: Recipe, folder: Path) -> None:
    """Check that a folder holds a run of this recipe, or none yet.

    Raises:
        ConfigError: the folder holds a run of another recipe. Only the fields in `noisewise.recipe.FREE` may change
            between resumptions.
    """
    path = folder / "recipe.yaml"
    if not path.is_file() or not _has_run(folder):
        return
    differing = sorted(_differences(essence(load(Recipe, path)), essence(recipe)))
    if differing:
        raise ConfigError(
            f"`{folder}` must hold a run of this recipe, but was begun with other values of "
            f"{', '.join(differing)}; choose another folder or the old values"
        )


def _has_run(folder: Path) -> bool:
    """Whether a run has begun in a folder."""
    return (folder / "checkpoints").is_dir()


def _differences(old: object, new: object, path: str = "") -> Iterator[str]:
    """Dotted keys of the values that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}".strip("."))
    elif old != new:
        yield path


def was_tested(folder: Path) -> bool:
    """Whether a run's `test.json` is of the model that is its best."""
    path = folder / TEST
    if not path.is_file():
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False  # damaged: measured anew
    return isinstance(found, dict) and found.get("weights_sha256") == model_folder.weights_hash(folder / "best")


def _test(recipe: Recipe, folder: Path, assembly: Assembly, device: torch.device) -> None:
    """Measure the best model on the test set, and write `test.json`."""
    assert recipe.test is not None and isinstance(assembly.source, RecordingSource)
    labels = [] if assembly.labels is None else assembly.labels.names
    best = model_folder.load_stored(folder / "best").model()
    task = tasks.build(recipe.task, best, assembly.tokenizer, labels, pieces=assembly.pieces)
    found = task.to(device).test(batch.to(device) for batch in assembly.source.test())
    about: dict[str, Any] = {
        "weights_sha256": model_folder.weights_hash(folder / "best"), "papers_protocol": recipe.papers_protocol,
    }  # fmt: skip
    if "ids" in found:
        cuts = {cut.id: source_of(cut) for cut in read_many(recipe.test.manifests)}
        about["sources"] = [cuts[name] for name in found["ids"]]
    with replaced(folder / TEST) as file:
        file.write(json.dumps({**about, **found}) + "\n")
