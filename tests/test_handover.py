"""From stage to stage: what is taken, what is refused and in which words; the three stages of Wav2code in a row."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from noisewise import model_folder
from noisewise.training import log
from tests.corpus import run_tiny, write_corpus


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with runs/ew2, runs/codebook and runs/wav2code, each begun from those before."""
    folder = tmp_path_factory.mktemp("stages")
    write_corpus(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_tiny("wav2code")
        yield folder / "runs"


def test_the_three_stages_run_one_after_the_other(stages: Path) -> None:
    """Stage 3 asks for the runs before it; each leaves its log, its checkpoints and its best model."""
    wanted = {
        "ew2": {"contrastive", "diversity", "feature_penalty", "consistency", "accuracy", "entries_chosen"},
        "codebook": {"reconstruction", "commitment", "perplexity", "usage", "variance", "norm"},
        "wav2code": {"ctc", "prediction", "restoration", "code_accuracy"},
    }
    for name, terms in wanted.items():
        records = log.read(stages / name, "train")
        assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]
        assert terms <= records[-1].keys()
    metrics = log.read(stages / "wav2code", "validation")[-1]
    assert {"wer", "cer", "ctc", "code_accuracy"} <= metrics.keys()
    loaded = model_folder.load(stages / "wav2code" / "best")
    waveform, lengths = torch.randn(2, 16_000) * 0.1, torch.tensor([16_000, 9_000])
    log_probs, frames = loaded.model.log_probs(waveform, lengths)
    assert log_probs.shape == (2, 49, 30) and frames.tolist() == [49, 27]


def test_the_codes_of_stage_2_are_those_of_stage_3_to_the_last_step(stages: Path) -> None:
    codes = load_file(stages / "codebook" / "best" / "model.safetensors")["codebook.entries"]
    newest = stages / "wav2code" / "checkpoints" / "step_00000006" / "model.safetensors"
    assert load_file(newest)["model.codebook.entries"].equal(codes)


@pytest.mark.parametrize("name", ["wav2vec2_pretraining", "ew2", "codebook", "wav2code"])
def test_a_run_goes_on_bit_for_bit(name: str, stages: Path) -> None:
    """Three steps, then three more from the checkpoint, are six steps at once."""
    constant = ["schedule.warm_up=0", "schedule.hold=1" if name == "wav2code" else "schedule.power=0"]
    for run, steps in (("whole", 6), ("parts", 3), ("parts", 6)):
        run_tiny(name, [f"run.steps={steps}", *constant], run=f"{run}_{name}")
    whole, parts = (stages / f"{run}_{name}" / "checkpoints" / "step_00000006" for run in ("whole", "parts"))
    for file in ("model.safetensors", "average.safetensors"):
        first, second = load_file(whole / file), load_file(parts / file)
        assert all(first[each].equal(second[each]) for each in first), file
    states = [json.loads((folder / "state.json").read_text()) for folder in (whole, parts)]
    assert states[0]["metrics"] == states[1]["metrics"] and states[0]["position"] == states[1]["position"]
