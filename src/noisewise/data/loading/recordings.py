"""Batches of recordings for training, validation and test, as the training loop asks for them."""

from collections.abc import Callable, Iterable, Iterator

from noisewise.batch import Batch
from noisewise.data.loading.dataset import DataConfig, Normalise
from noisewise.data.loading.loader import build_loader
from noisewise.data.manifests.labels import Labels
from noisewise.errors import ConfigError
from noisewise.text.normalise import ENGLISH


class RecordingSource:
    """The three sets of a run.

    Args:
        train: what is learned from.
        validation: what chooses the best checkpoint.
        test: what the best model is measured on, if anything.
        encode: transcripts to token ids; None where no transcripts are needed.
        labels: the classes, for a model that learns some.
        seed: seed of the order, of the noise and of the augmentation.
        normalise: form of the transcripts.
    """

    def __init__(
        self,
        train: DataConfig,
        validation: DataConfig,
        test: DataConfig | None = None,
        *,
        encode: Callable[[str], list[int]] | None = None,
        labels: Labels | None = None,
        seed: int = 0,
        normalise: Normalise = ENGLISH,
    ) -> None:
        self.train, self.held_out, self.tested = train, validation, test
        self.encode, self.labels, self.seed, self.normalise = encode, labels, seed, normalise

    def training(self, epoch: int, position: int, rank: int, world: int) -> Iterator[tuple[int, int, Batch]]:
        """Endless batches from (epoch, position) on, each with the place that follows it."""
        loader = build_loader(
            self.train, encode=self.encode, labels=self.labels, seed=self.seed,
            rank=rank, world_size=world, start=(epoch, position), normalise=self.normalise,
        )  # fmt: skip
        for batch in loader:
            yield *loader.state, batch

    def check(self) -> None:
        """Open the sets that are read only after many steps, so that a fault in them is reported before the first.

        Raises:
            NoisewiseError: the validation or test set cannot be used.
        """
        self.validation()
        if self.tested is not None:
            self.test()

    def validation(self) -> Iterable[Batch]:
        """One pass over the validation set, its noise drawn once and for all (epoch 0, seed 0)."""
        return self._once(self.held_out)

    def test(self) -> Iterable[Batch]:
        """One pass over the test set, its noise drawn as that of the validation set.

        Raises:
            ConfigError: there is no test set.
        """
        if self.tested is None:
            raise ConfigError("`test` must be given, but is missing; name the test set")
        return self._once(self.tested)

    def _once(self, data: DataConfig) -> Iterable[Batch]:
        return build_loader(data, encode=self.encode, labels=self.labels, training=False, normalise=self.normalise)
