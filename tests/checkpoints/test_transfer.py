"""From stage to stage: what is taken, what is refused and in which words; the three stages of Wav2code in a row."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from noisewise.checkpoints import model_folder
from noisewise.checkpoints.model_folder import StoredModel
from noisewise.checkpoints.transfer import transfer_weights
from noisewise.cli.main import main
from noisewise.errors import NoisewiseError
from noisewise.models import build, logmel_transformer
from noisewise.models.cat.encoder import CATConfig
from noisewise.models.cat.objective import CATObjectiveConfig, CATPretrainingConfig
from noisewise.models.cat.tagger import CATTaggerConfig
from noisewise.models.ctc import CTCConfig
from noisewise.models.wav2code.codebook_learning import CodebookLearningConfig
from noisewise.models.wav2code.iff_net import NoFusionConfig
from noisewise.models.wav2code.predictor import CNNPredictorConfig
from noisewise.models.wav2code.wav2code import Wav2CodeConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.ew2 import EW2Config
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd, WaveformFrontEnd
from noisewise.models.wav2vec2.pretraining import ContrastConfig, Wav2Vec2PretrainingConfig
from noisewise.training import log
from tests.checkpoints.foreign.conftest import Maker, a_folder
from tests.corpus import run_tiny, write_corpus

__all__ = ["a_folder"]

ENCODER = Wav2Vec2Config(
    front_end=LogMelFrontEnd(bins=40, channels=16), dim=24, layers=1, heads=4, feed_forward=32, position_kernel=6,
    position_groups=4,
)  # fmt: skip
CONTRAST = ContrastConfig(entries=4, quantized_dim=8, contrast_dim=8)
MODELS: dict[str, Any] = {
    "wav2vec2_pretraining": Wav2Vec2PretrainingConfig(encoder=ENCODER, contrast=CONTRAST),
    "ew2": EW2Config(encoder=ENCODER, contrast=CONTRAST),
    "codebook_learning": CodebookLearningConfig(encoder=ENCODER, codes=6),
    "ctc": CTCConfig(encoder=ENCODER),
    "wav2code": Wav2CodeConfig(
        encoder=ENCODER, codes=6, predictor=CNNPredictorConfig(dim=8), fusion=NoFusionConfig()
    ),
}  # fmt: skip


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


@pytest.mark.parametrize("name", ["wav2vec2_pretraining", "ew2", "codebook", "wav2code", "cat", "cat_tagging"])
def test_a_run_goes_on_bit_for_bit(name: str, stages: Path) -> None:
    """Three steps, then three more from the checkpoint, are six steps at once."""
    constant = ["schedule.warm_up=0", "schedule.hold=1" if name == "wav2code" else "schedule.power=0"]
    files = ["model.safetensors", *(["average.safetensors"] if name != "cat" else [])]
    for run, steps in (("whole", 6), ("parts", 3), ("parts", 6)):
        run_tiny(name, [f"run.steps={steps}", *constant], run=f"{run}_{name}")
    whole, parts = (stages / f"{run}_{name}" / "checkpoints" / "step_00000006" for run in ("whole", "parts"))
    for file in files:
        first, second = load_file(whole / file), load_file(parts / file)
        assert all(first[each].equal(second[each]) for each in first), file
    states = [json.loads((folder / "state.json").read_text()) for folder in (whole, parts)]
    assert states[0]["metrics"] == states[1]["metrics"] and states[0]["position"] == states[1]["position"]


def a_stage(config: Any) -> StoredModel:
    torch.manual_seed(1)
    return StoredModel(config, build(config).state_dict(), Path("runs/before/best"))


@pytest.mark.parametrize("source", MODELS)
@pytest.mark.parametrize("target", MODELS)
def test_each_stage_gives_the_next_what_both_have(source: str, target: str) -> None:
    """The encoder always; all of it within a kind and between wav2vec 2.0 and EW2; the head between recognisers."""
    stage = a_stage(MODELS[source])
    torch.manual_seed(2)
    model = build(MODELS[target])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    done = transfer_weights(stage, model, target)
    parts = {name.split(".")[0] for name in before}
    contrastive, recognisers = {"wav2vec2_pretraining", "ew2"}, {"ctc", "wav2code"}
    if source == target or {source, target} == contrastive:
        wanted = parts
    else:
        wanted = {"encoder", "head"} if {source, target} == recognisers else {"encoder"}
    assert set(done.taken) == wanted and set(done.new) == parts - wanted
    assert set(done.left) == {name.split(".")[0] for name in stage.weights} - wanted
    for name, value in model.state_dict().items():
        old = stage.weights if name.split(".")[0] in wanted else before
        assert value.equal(old[name]), name


def test_what_was_done_is_said() -> None:
    done = transfer_weights(a_stage(MODELS["ctc"]), build(MODELS["wav2code"]), "wav2code")
    assert str(done) == "taken: encoder, head; new: codebook, predictor"
    done = transfer_weights(a_stage(MODELS["ew2"]), build(MODELS["codebook_learning"]), "codebook_learning")
    assert str(done) == (
        "taken: encoder; left: context_projection, quantizer, target_projection; new: codebook"
    )  # fmt: skip


def test_what_only_training_knows_may_differ() -> None:
    encoder = replace(
        ENCODER,
        initial_std=None,
        dropout=0.3,
        layer_drop=0.2,
        time_mask_probability=0.65,
        channel_mask_span=3,
        feature_grad_mult=0.0,
    )
    transfer_weights(a_stage(MODELS["ew2"]), build(replace(MODELS["wav2code"], encoder=encoder)), "wav2code")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"dim": 28}, "model.encoder.dim=24; set these"),
        ({"heads": 2}, "model.encoder.heads=4; set these"),  # the same shapes, another function
        ({"front_end": WaveformFrontEnd(channels=16), "layers": 2}, "model.encoder.front_end.kind=log_mel"),
        ({"convolution_kernel": 3}, "model.encoder.convolution_kernel=0; set these"),
        ({"norm_first": True, "front_end": LogMelFrontEnd(channels=16)}, "front_end.bins=40, model.encoder.norm_first"),
    ],
    ids=str,
)  # fmt: skip
def test_another_encoder_is_refused_by_the_names_of_its_fields(changes: dict[str, Any], fields: str) -> None:
    model = build(replace(MODELS["codebook_learning"], encoder=replace(ENCODER, **changes)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(NoisewiseError, match="must hold the same encoder, but runs/before/best has ") as caught:
        transfer_weights(a_stage(MODELS["ew2"]), model, "codebook_learning")
    assert fields in str(caught.value)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("source", "config", "odd"),
    [
        ("ew2", replace(MODELS["wav2vec2_pretraining"], contrast=replace(CONTRAST, entries=5)), "quantizer.entries"),
        ("codebook_learning", replace(MODELS["codebook_learning"], codes=7), "codebook.entries"),
        ("ctc", replace(MODELS["wav2code"], vocabulary=29), "head.weight"),
    ],
    ids=["entries", "codes", "vocabulary"],
)
def test_other_parts_of_another_size_are_refused_by_name(source: str, config: Any, odd: str) -> None:
    with pytest.raises(NoisewiseError, match=f"must hold a model of the same shape, but .* differs in .*{odd}"):
        transfer_weights(a_stage(MODELS[source]), build(config), config.kind)


def test_an_encoder_of_another_kind_is_refused_and_one_of_the_same_is_taken() -> None:
    stage = a_stage(CTCConfig(encoder=logmel_transformer.tiny()))
    transfer_weights(stage, build(Wav2CodeConfig(encoder=logmel_transformer.tiny(), codes=6)), "wav2code")
    with pytest.raises(NoisewiseError, match=r"model\.encoder\.kind=logmel_transformer"):
        transfer_weights(stage, build(MODELS["wav2code"]), "wav2code")
    wider = replace(logmel_transformer.tiny(), layers=3)
    with pytest.raises(NoisewiseError, match="must hold a model of the same shape"):
        transfer_weights(stage, build(CTCConfig(encoder=wider)), "ctc")


FAMILIES: dict[str, dict[str, Any]] = {
    "Wav2Vec2": {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True},  # XLS-R
    "Hubert": {},
    "WavLM": {"num_buckets": 20, "max_bucket_distance": 40},
    "Data2VecAudio": {"conv_pos_kernel_size": 5},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_any_backbone_of_transformers_becomes_robust_without_pretraining(
    family: str, a_folder: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stage 2 on its clean representations, stage 3 from there, and a file is transcribed without the source."""
    source = a_folder("Model", family=family, **FAMILIES[family])
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    quick = ["run.steps=1", "run.validate_every=1", f"model.encoder={{kind: pretrained, source: {source}}}"]
    run_tiny("codebook", [*quick, "start_from=null"])
    masks = ["model.encoder.time_mask_probability=0.65"]
    run_tiny("wav2code", [*quick, *masks, "start_from=runs/codebook/best", "run.average_decay=0"])
    shutil.rmtree(source)
    loaded = model_folder.load("runs/wav2code/best")
    teacher = model_folder.load_stored("runs/codebook/best")
    assert loaded.model.codebook.entries.equal(teacher.weights["codebook.entries"])
    assert loaded.config.encoder.architecture["model_type"] in ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
    assert main(["transcribe", "corpus/u0.wav", "--model", "runs/wav2code/best"]) == 0
    assert capsys.readouterr().out.strip(), "an untrained model babbles"


CAT_ENCODER = CATConfig(
    channels=(4, 6, 8), blocks=1, bins=32, dim=8, layers=1, heads=2, feed_forward=12, decoder_layers=1,
    decoder_groups=2,
)  # fmt: skip
PRETRAINED = CATPretrainingConfig(encoder=CAT_ENCODER, objective=CATObjectiveConfig())


def test_the_student_of_cat_becomes_the_encoder_of_a_tagger() -> None:
    stage = a_stage(PRETRAINED)
    stage.weights.update({name: value + 1 for name, value in stage.weights.items() if name.startswith("student.")})
    encoder = replace(CAT_ENCODER, drop_path=0.1, frames=64, decoder_layers=3, mean=1.0)
    tagger = build(CATTaggerConfig(encoder=encoder, classes=3))
    done = transfer_weights(stage, tagger, "cat_tagger")
    assert str(done) == "taken: encoder; left: decoder, teacher; new: head, norm"
    for name, value in tagger.encoder.state_dict().items():
        assert value.equal(stage.weights[f"student.{name}"]), name


def test_a_tagger_becomes_student_and_teacher() -> None:
    stage = a_stage(CATTaggerConfig(encoder=CAT_ENCODER, classes=3))
    model = build(PRETRAINED)
    done = transfer_weights(stage, model, "cat_pretraining")
    assert str(done) == "taken: student, teacher; left: head, norm; new: decoder"
    for name, value in model.state_dict().items():
        part, _, rest = name.partition(".")
        assert part == "decoder" or value.equal(stage.weights[f"encoder.{rest}"])


def test_cat_with_another_stem_is_refused() -> None:
    for changes, field in (({"stem": "patch"}, "model.encoder.stem=multi_resolution"), ({"heads": 4}, "heads=2")):
        tagger = build(CATTaggerConfig(encoder=replace(CAT_ENCODER, **changes), classes=3))
        with pytest.raises(NoisewiseError, match="must hold the same encoder") as caught:
            transfer_weights(a_stage(PRETRAINED), tagger, "cat_tagger")
        assert field in str(caught.value)
    with pytest.raises(NoisewiseError, match=r"model\.encoder\.kind=cat"):
        transfer_weights(a_stage(PRETRAINED), build(MODELS["ctc"]), "ctc")
