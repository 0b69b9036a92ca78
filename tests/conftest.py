"""What tests share: where the real recordings are, and small models."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Tests run one process a core: threads of torch beside those wait for each other. Before torch is imported."""

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
"""The same examples on every machine, however slow: a failure is a failure for everyone."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell starts what runs in the background without SIGINT, and children inherit that; tests wait for what it does."""

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """What a test has set for its process, such as `run.threads` of a recipe, does not slow the tests after it."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real recordings; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("NOISEWISE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "an4" / "manifest.tsv").is_file():
        pytest.skip(f"real recordings are not at {folder}; set NOISEWISE_DATA to the folder with an4/, noise/, ...")
    return folder


@pytest.fixture(scope="session")
def an4_dir() -> Path:
    """A trained recogniser of 4.7 M parameters that knows letters, digits and dates."""
    return REPOSITORY / "tests" / "fixtures" / "an4_ctc"


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released model of the smallest size, randomly initialised (it babbles, the same on every machine)."""
    import torch

    from noisewise.checkpoints import model_folder
    from noisewise.models.ctc import CTC, CTCConfig
    from noisewise.models.logmel_transformer import tiny
    from noisewise.text.tokenizer import CharacterTokenizer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = CTCConfig(encoder=tiny())
        model = CTC(config)
        with torch.no_grad():
            model.head.weight.mul_(8)  # sharp enough that different frames give different letters
            model.head.bias[[0, 2]] += torch.tensor([2.0, 4.0])  # blanks and word boundaries among the letters
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return model_folder.save(folder, model, config, CharacterTokenizer(), card="# A model for tests\n")


@pytest.fixture(scope="session")
def tagger_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger of the smallest size, randomly initialised, for the classes that its labels.txt names."""
    import torch

    from noisewise.checkpoints import model_folder
    from noisewise.models.cat.encoder import CATConfig
    from noisewise.models.cat.tagger import CATTagger, CATTaggerConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        encoder = CATConfig(channels=(8, 12, 32), blocks=1, bins=32, dim=32, layers=2, heads=2, feed_forward=48)
        config = CATTaggerConfig(encoder=encoder, classes=4, labels="one", pooling="mean")
        model = CATTagger(config)
        with torch.no_grad():
            model.head.weight.mul_(150)  # sharp enough that different sounds have different labels
    labels = ["dog", "rain, heavy", "sea", "siren"]
    folder = tmp_path_factory.mktemp("models") / "tagger"
    about = {"window_seconds": 2.0}
    return model_folder.save(folder, model, config, None, card="# A tagger for tests\n", about=about, labels=labels)
