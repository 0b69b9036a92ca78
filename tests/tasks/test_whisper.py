"""The task of Whisper: its three losses and their weight, what is frozen, what is validated, going on exactly."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from noisewise import tasks
from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import load
from noisewise.errors import ConfigError
from noisewise.models.encoder_decoder import IGNORED
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.recipe import Recipe
from noisewise.run import train
from noisewise.tasks.whisper import WhisperTask, WhisperTaskConfig
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.training import checkpoint
from tests.corpus import run_tiny, write_corpus
from tests.models.whisper import small, tokens
from tests.tasks.test_ctc import batch_of

PIECES = tokens.tokenizer()
RECIPES = Path(__file__).parents[2] / "recipes" / "whisper"


def task_of(**values: Any) -> WhisperTask:
    """The task over a small Whisper with a CTC head."""
    return WhisperTask(WhisperTaskConfig(**values), small.ours(vocabulary=30), CharacterTokenizer(), PIECES)


def batch(*texts: str) -> Batch:
    """Noise of a second, with other noise as its clean partner."""
    made = batch_of(*(text.upper() for text in texts))
    clean = torch.randn(made.waveform.shape, generator=torch.Generator().manual_seed(7)) * 0.1
    return replace(made, written=list(texts), clean=clean)


def by_hand(task: WhisperTask, each: Batch) -> dict[str, Tensor]:
    """The losses of one utterance, by other means than those of the task."""
    output = task.model.encode(each.waveform, each.lengths)
    ids = [*PIECES.prompt(), *PIECES.encode(" " + each.written[0]), PIECES.end]
    logits = task.model.next_token_logits(output, torch.tensor([ids[:-1]]))[0]
    log_probs = logits.log_softmax(dim=-1)
    silent = len(PIECES.prompt()) - 1
    assert each.tokens is not None and each.token_lengths is not None and each.clean is not None
    clean = small.ours(vocabulary=30).encoder(each.clean, each.lengths).features
    return {
        "attention": -torch.stack([log_probs[at, ids[at + 1]] for at in range(silent, len(ids) - 1)]).sum(),
        "ctc": task.model.ctc_loss(output, each.tokens[:, : int(each.token_lengths)], each.token_lengths).sum(),
        "distillation": (output.features - clean).square().mean(dim=2).sum(),
        "count": torch.tensor(len(ids) - 1 - silent),
    }


def test_the_losses_are_summed_and_weighted_by_the_tokens_of_the_decoder() -> None:
    task = task_of(ctc_weight=0.3, distillation=0.5).eval()
    final: Any = task.model.encoder.transformer.final_norm
    torch.nn.init.normal_(final.weight)  # no longer as in the beginning
    texts = ("Go home, please.", "Yes")
    alone = [by_hand(task, batch_row(batch(*texts), row)) for row in range(2)]
    wanted = {name: torch.stack([each[name] for each in alone]).sum() for name in alone[0]}
    loss = task(batch(*texts))
    for name in ("attention", "ctc", "distillation"):
        torch.testing.assert_close(loss.terms[name], wanted[name].detach(), rtol=1e-4, atol=1e-4)
        assert float(wanted[name].detach()) > 1
    assert loss.weight == float(wanted["count"]) > 6
    total = 0.7 * wanted["attention"] + 0.3 * wanted["ctc"] + 0.5 * wanted["distillation"]
    torch.testing.assert_close(loss.total, total, rtol=1e-4, atol=1e-4)


def batch_row(whole: Batch, row: int) -> Batch:
    """One utterance of a batch."""
    assert whole.clean is not None and whole.tokens is not None and whole.token_lengths is not None
    return Batch(
        whole.waveform[row : row + 1], whole.lengths[row : row + 1], [whole.ids[row]], [whole.texts[row]],
        [whole.written[row]], whole.clean[row : row + 1], whole.tokens[row : row + 1],
        whole.token_lengths[row : row + 1],
    )  # fmt: skip


def test_neither_prompt_nor_padding_is_a_target_and_the_end_is() -> None:
    inputs, targets = task_of().targets(batch("Go home, please.", "HI"))
    first, second = PIECES.encode(" Go home, please."), PIECES.encode(" Hi.")
    prompt = PIECES.prompt()
    assert inputs[0].tolist() == [*prompt, *first]
    assert targets[0].tolist() == [IGNORED] * (len(prompt) - 1) + [*first, PIECES.end]
    assert inputs[1, : len(prompt) + len(second)].tolist() == [*prompt, *second]
    rest = len(first) - len(second)
    assert rest > 0
    assert targets[1].tolist() == [IGNORED] * (len(prompt) - 1) + [*second, PIECES.end] + [IGNORED] * rest


def test_transcripts_may_stay_in_capitals_and_long_ones_are_cut() -> None:
    task = task_of(written_style="as_is")
    found = task.targets(batch("HI"))[1][0]
    assert found.tolist()[-2:] == [PIECES.encode(" HI")[-1], PIECES.end]
    inputs, targets = task.targets(batch("please " * 30))
    assert inputs.shape == targets.shape == (1, 40) and int(targets[0, -1]) not in (PIECES.end, IGNORED)


def test_label_smoothing_is_that_of_pytorch_over_all_tokens() -> None:
    task, each = task_of(label_smoothing=0.2, ctc_weight=0.0).eval(), batch("Yes")
    inputs, targets = task.targets(each)
    logits = task.model.next_token_logits(task.model.encode(each.waveform, each.lengths), inputs)
    wanted = F.cross_entropy(logits[0], targets[0], ignore_index=IGNORED, label_smoothing=0.2, reduction="sum")
    loss = task(each)
    torch.testing.assert_close(loss.total, wanted)
    assert set(loss.terms) == {"attention"}


def test_distillation_pulls_towards_the_clean_states_of_the_beginning() -> None:
    task = task_of(distillation=1.0, distilled_layers=(2, 1)).eval()
    each = batch("Yes")
    assert each.clean is not None
    same = replace(each, waveform=each.clean)
    assert float(task(same).terms["distillation"]) == 0.0 < float(task(each).terms["distillation"])
    with torch.no_grad():
        task.model.encoder.transformer.layers[1].feed_forward.outer.bias += 1.0  # type: ignore[union-attr, operator]
    moved = task(same)
    frames = int(task.model.encode(each.waveform, each.lengths).lengths)
    torch.testing.assert_close(moved.terms["distillation"], torch.tensor(frames / 2))  # 1 in one layer of two
    moved.total.backward()
    assert all(parameter.grad is None for parameter in task._teacher[0].parameters())
    assert not any(name.startswith("_teacher") for name, _ in task.named_parameters())
    with pytest.raises(ConfigError, match=r"`train\.keep_clean` must be true"):
        task(replace(each, clean=None))


def test_only_the_head_learns_and_is_computed_in_a_frozen_start() -> None:
    task = task_of(frozen_start=3, distillation=1.0)
    task.begin(2)
    loss = task(batch("Yes"))
    assert set(loss.terms) == {"ctc"}
    loss.total.backward()
    learning = {name for name, parameter in task.named_parameters() if parameter.grad is not None}
    assert learning == {"model.head.weight", "model.head.bias"}
    assert len(task.frozen(2)) == len(list(task.parameters())) - 2 and not task.frozen(3)
    task.begin(3)
    assert set(task(batch("Yes")).terms) == {"attention", "ctc", "distillation"}
    assert task.lr_scale("model.head.weight") == 10 and task.lr_scale("model.encoder.x") == 1


def test_a_frozen_decoder_still_teaches_the_encoder() -> None:
    task = task_of(freeze_decoder=True, ctc_weight=0.0)
    task(batch("Yes")).total.backward()
    assert all(parameter.grad is None for parameter in task.model.decoder.parameters())
    assert task.model.encoder.subsampling.convolutions[0].weight.grad is not None


def test_ctc_alone_leaves_the_decoder_out() -> None:
    task = task_of(ctc_weight=1.0)
    loss = task(batch("Yes"))
    assert set(loss.terms) == {"ctc"} and loss.weight == len(PIECES.encode(" Yes")) + 1
    metrics = task.validate([batch("Yes", "Go home.")])
    assert metrics["wer"] == metrics["wer_ctc"] and metrics["attention"] > 0


def test_greedy_decoding_is_the_likeliest_token_again_and_again() -> None:
    task = task_of().eval()
    each = batch("Yes", "No")
    each.lengths[1] = 9_000
    with torch.inference_mode():
        output = task.model.encode(each.waveform, each.lengths)
        found = task.greedy(output)
        for row in range(2):
            ids = list(PIECES.prompt())
            alone = task.model.encode(each.waveform[row : row + 1, : each.lengths[row]], each.lengths[row : row + 1])
            for token in [*found[row][:5], None]:
                logits = task.model.next_token_logits(alone, torch.tensor([ids]))[0, -1]
                logits[task._forbidden] = -torch.inf
                if token is not None:
                    assert int(logits.argmax()) == token
                    ids.append(token)
    assert not set(PIECES.steering) & {*found[0], *found[1]} and PIECES.end not in found[0]


def test_two_utterances_are_learned_by_heart() -> None:
    torch.manual_seed(0)
    task = task_of(ctc_weight=0.1)
    each = batch("Go home.", "YES")
    assert task.validate([each])["wer"] > 0
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    for _ in range(40):
        loss = task.train()(each)
        optimizer.zero_grad()
        (loss.total / loss.weight).backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 1.0)
        optimizer.step()
    metrics = task.validate([each])
    assert metrics["wer"] == metrics["cer"] == 0.0 and metrics["attention"] < 0.2
    assert dict(task.examples) == {"GO HOME.": "Go home.", "YES": "Yes."}
    assert task.training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with the corpus, in which recipes leave their runs."""
    path = tmp_path_factory.mktemp("whisper")
    write_corpus(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        yield path


def test_a_stopped_run_goes_on_exactly_and_its_model_is_whole(folder: Path) -> None:
    quick = ["run.steps=4", "run.save_every=2", "run.validate_every=4", "schedule.kind=tri_stage"]
    whole, stopped = (run_tiny("whisper", quick, run=name) for name in ("whole", "stopped"))
    newest = checkpoint.folder_of(stopped, 4)
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    run_tiny("whisper", quick, run="stopped")
    one, other = (load_file(checkpoint.folder_of(run, 4) / "model.safetensors") for run in (whole, stopped))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    kept = WhisperTokenizer.load(whole / "best")
    assert kept.values == tokens.values()
    loaded = model_folder.load(whole / "best")
    assert loaded.config.encoder.source == ""  # type: ignore[union-attr]
    on = run_tiny("whisper", [f"start_from={whole}/best", "run.steps=1", "model.encoder.source=none"], run="on")
    first, second = (model_folder.load(run / "best") for run in (whole, on))
    assert second.config == first.config and (on / "best" / "tokenizer.json").is_file()


def test_the_stages_of_wav2code_go_on_from_it(folder: Path) -> None:
    if not (folder / "runs/whole").exists():
        run_tiny("whisper", ["run.steps=1"], run="whole")
    quick = ["run.steps=1", "run.validate_every=1", "run.accelerator=cpu", "train.workers=0", "model.codes=8"]
    data = [f"{part}.manifests=[{folder}/corpus]" for part in ("train", "validation")]
    noise = [f"{part}.noise.manifest={folder}/noise" for part in ("train", "validation")]
    begun = "start_from=runs/whole/best"
    stage_2 = load(Recipe, RECIPES / "codebook.yaml", [*quick, *data, begun, "task.initial_frames=50"])
    train(stage_2, Path("runs/codebook"))
    small_parts = [
        "model.fusion.repeats=1",
        "model.predictor.kind=transformer",
        "model.predictor.layers=1",
        "model.predictor.dim=16",
    ]
    train(load(Recipe, RECIPES / "wav2code.yaml", [*quick, *data, *noise, begun, *small_parts]), Path("runs/wav2code"))
    encoders = [model_folder.load_config(f"runs/{name}/best").encoder for name in ("whole", "codebook", "wav2code")]
    assert {(each.dim, each.layers, each.source) for each in encoders} == {(16, 2, "")}


def test_without_a_tokenizer_it_is_said_what_to_name() -> None:
    with pytest.raises(ConfigError, match=r"`model\.encoder\.source` or `start_from` must name a Whisper"):
        tasks.build(WhisperTaskConfig(), small.ours(vocabulary=30), CharacterTokenizer())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ctc_weight": 1.5}, "`ctc_weight` must be between 0 and 1"),
        ({"distillation": -1.0}, "`distillation` must be 0 or more"),
        ({"frozen_start": 2, "ctc_weight": 0.0}, "`frozen_start` must be 0 without CTC"),
        ({"distilled_layers": (3,)}, "`distilled_layers` must be 1 to 2, but one is 3"),
    ],
)
def test_values_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task_of(**values)
