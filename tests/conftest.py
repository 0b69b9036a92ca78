"""What tests share: where the real recordings are, and a small untrained model."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
"""The same examples on every machine, however slow: a failure is a failure for everyone."""

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real recordings; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("NOISEWISE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "an4" / "manifest.tsv").is_file():
        pytest.skip(f"real recordings are not at {folder}; set NOISEWISE_DATA to the folder with an4/, noise/, ...")
    return folder


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released model of the smallest size, randomly initialised (it babbles, the same on every machine)."""
    import torch

    from noisewise import model_folder
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
