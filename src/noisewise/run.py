"""How a recipe becomes a run: build, train, test."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from noisewise import __version__, models, tasks
from noisewise.batch import Batch
from noisewise.checkpoints import folder as model_folder
from noisewise.checkpoints import foreign as interop
from noisewise.checkpoints.transfer import hand_over
from noisewise.config import dump, dump_yaml, load
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.loader import build_loader, read_labels
from noisewise.data.loading.text import TextConfig, TextSource
from noisewise.data.loading.text import read as read_sentences
from noisewise.data.manifests.labels import Labels
from noisewise.data.manifests.read import read_many, source_of
from noisewise.data.manifests.transcripts import read_transcripts
from noisewise.errors import ConfigError
from noisewise.files import replaced
from noisewise.models import AcousticConfig
from noisewise.models.cat.tagger import CATTaggerConfig
from noisewise.models.lm import TransformerLMConfig
from noisewise.recipe import Recipe, essence
from noisewise.text import subword
from noisewise.text.subword import CharacterConfig, SubwordTokenizer
from noisewise.text.tokenizer import CharacterTokenizer, Tokenizer
from noisewise.text.vocabulary import Vocabulary
from noisewise.training.loop import Progress, Source, Trainer, fabric_for
from noisewise.training.sole_writer import sole_writer

logger = logging.getLogger(__name__)


TEST = "test.json"


class RecipeData:
    """The batches of a recipe, as the loop asks for them."""

    def __init__(self, recipe: Recipe, encode: Callable[[str], list[int]] | None, labels: Labels | None = None):
        self.train, self.held_back = sets(recipe)
        self.tested = recipe.test
        self.seed = recipe.run.seed
        self.encode = encode
        self.labels = labels

    def training(self, epoch: int, position: int, rank: int, world: int) -> Iterator[tuple[int, int, Batch]]:
        """Endless batches from (epoch, position) on, each with the place that follows it."""
        loader = build_loader(
            self.train, encode=self.encode, labels=self.labels, seed=self.seed,
            rank=rank, world_size=world, start=(epoch, position),
        )  # fmt: skip
        for batch in loader:
            yield *loader.state, batch

    def check(self) -> None:
        """Look at what is only heard after many steps, so that what is wrong with it is said before the first.

        Raises:
            NoisewiseError: the validation or test set cannot be used.
        """
        self.validation()
        if self.tested is not None:
            self.test()

    def validation(self) -> Iterable[Batch]:
        """One pass over the validation set, its noise drawn once and for all (epoch 0, seed 0)."""
        return build_loader(self.held_back, encode=self.encode, labels=self.labels, training=False)

    def test(self) -> Iterable[Batch]:
        """One pass over the test set."""
        if self.tested is None:
            raise ConfigError("`test` must be given, but is missing; name the test set")
        return build_loader(self.tested, encode=self.encode, labels=self.labels, training=False)


def sets(recipe: Recipe) -> tuple[DataConfig, DataConfig]:
    """What a recipe learns from, and what it chooses the best checkpoint on.

    Raises:
        ConfigError: the papers' protocol is asked for, and there is no test set.
    """
    train, validation = _recordings(recipe.train), _recordings(recipe.validation)
    if not recipe.papers_protocol:
        return train, validation
    if recipe.test is None:
        raise ConfigError("`test` must be given with `papers_protocol`, but is missing; name the test set")
    return replace(train, manifests=[*train.manifests, *validation.manifests]), recipe.test


def prepare_folder(recipe: Recipe, folder: Path) -> None:
    """Write `recipe.yaml` into a run's folder, or check that it is the one already there.

    Raises:
        ConfigError: as `check_folder`.
    """
    check_folder(recipe, folder)
    with replaced(folder / "recipe.yaml") as file:
        file.write(dump_yaml(recipe))


def check_folder(recipe: Recipe, folder: Path) -> None:
    """See that a folder holds a run of this recipe, or none yet.

    Raises:
        ConfigError: the folder holds a run of another recipe. Only `run.steps` and how often to log, validate
            and save may change between resumptions.
    """
    path = folder / "recipe.yaml"
    if path.is_file() and (folder / "checkpoints").is_dir():
        old, new = essence(load(Recipe, path)), essence(recipe)
        differing = sorted(_differences(old, new))
        if differing:
            raise ConfigError(
                f"`{folder}` must hold a run of this recipe, but was begun with other values of "
                f"{', '.join(differing)}; choose another folder or the old values"
            )


def trainer_for(recipe: Recipe, folder: Path) -> Trainer:
    """Build the run: model from the seed (or from `start_from`), data, task; resumed if the folder holds one."""
    fabric = fabric_for(recipe.run)
    if fabric.is_global_zero:
        sole_writer(folder)
        prepare_folder(recipe, folder)
    fabric.barrier()
    torch.manual_seed(recipe.run.seed)
    tokenizer = _tokenizer(recipe, folder)
    if isinstance(recipe.model, AcousticConfig) and recipe.model.vocabulary != len(tokenizer):
        raise ConfigError(f"`model.vocabulary` must be {len(tokenizer)}, but is {recipe.model.vocabulary} instead")
    labels, vocabulary = _labels(recipe), _vocabulary(recipe, folder)
    settled = recipe.model
    if isinstance(settled, TransformerLMConfig) and vocabulary is not None:
        settled = replace(settled, vocabulary=len(vocabulary))
    model = models.build(settled)
    if recipe.start_from is not None:
        _start(model, recipe, tokenizer)
    task = tasks.build(recipe.task, model, tokenizer, [] if labels is None else labels.names, vocabulary)
    source: Source = (
        RecipeData(recipe, tokenizer.encode if task.needs_text else None, labels)
        if vocabulary is None
        else _text_source(recipe, vocabulary)
    )
    if isinstance(source, RecipeData):
        source.check()
    return Trainer(
        task,
        source,
        folder,
        run=recipe.run,
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        recipe=dump(recipe),
        version=__version__,
        release_config=settled,
        fabric=fabric,
    )


def train(recipe: Recipe, folder: Path, watch: Callable[[Progress], None] = lambda progress: None) -> dict[str, float]:
    """Run a recipe in a folder, from its newest checkpoint if it has one; gives the last validation's metrics."""
    trainer = trainer_for(recipe, folder)
    metrics = trainer.train(watch)
    if recipe.test is not None and trainer.fabric.is_global_zero and not was_tested(folder):
        _test(recipe, folder, trainer.fabric.device)
    return metrics


def was_tested(folder: Path) -> bool:
    """Whether a run's `test.json` is of the model that is its best."""
    path = folder / TEST
    if not path.is_file():
        return False
    found = json.loads(path.read_text(encoding="utf-8"))
    return bool(found["weights_sha256"] == model_folder.weights_hash(folder / "best"))


def _test(recipe: Recipe, folder: Path, device: torch.device) -> None:
    """Measure the best model on the test set."""
    tokenizer, labels = _tokenizer(recipe, folder), _labels(recipe)
    model = model_folder.load_stage(folder / "best").model()
    task = tasks.build(recipe.task, model, tokenizer, [] if labels is None else labels.names)
    batches = RecipeData(recipe, tokenizer.encode if task.needs_text else None, labels).test()
    found = task.to(device).test(batch.to(device) for batch in batches)
    about: dict[str, Any] = {
        "weights_sha256": model_folder.weights_hash(folder / "best"), "papers_protocol": recipe.papers_protocol,
    }  # fmt: skip
    if recipe.test is not None and "ids" in found:
        cuts = {cut.id: source_of(cut) for cut in read_many(recipe.test.manifests)}
        about["sources"] = [cuts[name] for name in found["ids"]]
    with replaced(folder / TEST) as file:
        file.write(json.dumps({**about, **found}) + "\n")


def _labels(recipe: Recipe) -> Labels | None:
    """The classes, for a model that learns some."""
    if not isinstance(recipe.model, CATTaggerConfig):
        return None
    labels = read_labels(sets(recipe)[0])
    if len(labels) != recipe.model.classes:
        raise ConfigError(
            f"`model.classes` must be {len(labels)}, as many as the training set has, but is {recipe.model.classes} "
            "instead"
        )
    return labels


def _recordings(data: DataConfig | TextConfig) -> DataConfig:
    if isinstance(data, TextConfig):
        raise ConfigError("`train` and `validation` must be recordings, but are text; take `model.kind: lm` for text")
    return data


def _text(data: DataConfig | TextConfig) -> TextConfig:
    if isinstance(data, DataConfig):
        raise ConfigError("`train.kind` and `validation.kind` must be text for a language model, but are recordings")
    return data


def _vocabulary(recipe: Recipe, folder: Path) -> Vocabulary | None:
    """The tokens of a language model: those of the text, or of the model that it starts from; kept in the folder.

    Raises:
        ConfigError: the folder holds a run with other ones.
    """
    if not isinstance(recipe.model, TransformerLMConfig):
        return None
    text = _text(recipe.train)
    if recipe.start_from is not None:
        found = Vocabulary.load(model_folder.locate(recipe.start_from) / "tokens.txt")
    elif recipe.model.unit == "characters":
        found = Vocabulary.of_characters()
    else:
        found = Vocabulary.of_words(read_sentences(text), recipe.model.vocabulary)
    path = folder / "tokens.txt"
    if (folder / "checkpoints").is_dir() and Vocabulary.load(path).tokens != found.tokens:
        raise ConfigError(f"`train` must hold the text that {folder} was begun with, but its words differ; put it back")
    if not path.is_file() or not (folder / "checkpoints").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        found.save(path)
    return found


def _tokenizer(recipe: Recipe, folder: Path) -> Tokenizer:
    """Letters, or subwords: those that the folder has, that the recipe names, or that the transcripts teach."""
    if isinstance(recipe.tokenizer, CharacterConfig):
        return CharacterTokenizer()
    path = folder / SubwordTokenizer.FILE
    if (folder / "checkpoints").is_dir() and path.is_file():
        return SubwordTokenizer.load(path)
    wanted = recipe.tokenizer
    if wanted.source is not None:
        found = SubwordTokenizer.load(model_folder.locate(wanted.source) / SubwordTokenizer.FILE)
    else:
        found = subword.learn(read_transcripts(sets(recipe)[0]), wanted.size, least=wanted.least)
    folder.mkdir(parents=True, exist_ok=True)
    found.save(path)
    return found


def _text_source(recipe: Recipe, vocabulary: Vocabulary) -> TextSource:
    """The batches of a language model."""
    characters = isinstance(recipe.model, TransformerLMConfig) and recipe.model.unit == "characters"
    train, validation = _text(recipe.train), _text(recipe.validation)
    return TextSource(train, validation, vocabulary.encode, characters=characters, seed=recipe.run.seed)


def _start(model: models.AnyModel, recipe: Recipe, tokenizer: Tokenizer) -> None:
    path = model_folder.locate(str(recipe.start_from))
    if interop.recognises(path):
        taken = interop.read(path).begin(model, tokenizer)
        logger.info("start_from %s: taken: %s", recipe.start_from, ", ".join(taken))
        return
    stage = model_folder.load_stage(path)
    spells = isinstance(stage.config, AcousticConfig) and subword.is_in(path)
    is_spelled_alike = not spells or subword.load(path).symbols == tokenizer.symbols
    done = hand_over(stage, model, recipe.model.kind, is_spelled_alike)
    logger.info("start_from %s: %s", recipe.start_from, done)


def _differences(old: object, new: object, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}".strip("."))
    elif old != new:
        yield path
