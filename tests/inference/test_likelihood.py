"""Likelihoods against sums over all alignments, and teacher forcing step by step."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from noisewise.checkpoints import model_folder
from noisewise.errors import EvaluationError
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.evaluate import evaluate
from noisewise.evaluation.systems.loading import load
from noisewise.inference.likelihood import likelihoods
from noisewise.inference.recogniser import Recogniser
from noisewise.models.whisper.whisper import Whisper
from noisewise.text.tokenizer import CharacterTokenizer
from tests.models.whisper import small, tokens

MODELS = Path(__file__).parent.parent / "fixtures" / "before_0_2" / "models"


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def test_ctc_sums_over_all_alignments() -> None:
    recogniser = Recogniser.load(MODELS / "ctc")
    waveform = noise(1600)
    (log_probs,) = recogniser.log_probs([waveform])
    (ids,) = [recogniser.tokenizer.encode("A")]
    total = sum(
        float(log_probs[range(len(path)), list(path)].sum().exp())
        for path in product([0, *ids], repeat=len(log_probs))
        if [token for place, token in enumerate(path) if token and (not place or path[place - 1] != token)] == ids
    )
    (found,) = likelihoods(recogniser, [waveform], ["a"])
    assert found["ctc"][0] == pytest.approx(-np.log(total), rel=1e-4) and found["ctc"][1] == 1


def test_what_has_no_likelihood() -> None:
    recogniser = Recogniser.load(MODELS / "ctc")
    assert likelihoods(recogniser, [noise(1600), noise(800)], ["...", "ONE TWO THREE FOUR"]) == [{}, {}]


def test_attention_is_teacher_forcing_and_company_changes_nothing() -> None:
    recogniser = Recogniser.load(MODELS / "encoder_decoder")
    pair = likelihoods(recogniser, [noise(16_000), noise(24_000, 1)], ["STOP", "ONE"])
    assert pair[1] == likelihoods(recogniser, [noise(24_000, 1)], ["one"])[0]
    model, ids = recogniser.model, recogniser.tokenizer.encode("STOP")
    with torch.no_grad():
        output = model.encode(torch.tensor(noise(16_000))[None], torch.tensor([16_000]))  # type: ignore[operator]
        logits = model.next_token_logits(output, torch.tensor([ids]))[0].log_softmax(-1)  # type: ignore[operator]
    expected = -sum(float(logits[place, token]) for place, token in enumerate([*ids, 0]))
    assert pair[0]["attention"] == (pytest.approx(expected, rel=1e-4), len(ids) + 1)


@pytest.mark.parametrize("head", [True, False])
def test_of_a_whisper_the_decoder_is_given_a_sentence_behind_its_prompt(head: bool, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    own, letters, pieces = small.ours(vocabulary=30 if head else 0), CharacterTokenizer(), tokens.tokenizer()
    model_folder.save(tmp_path / "m", own, own.config, letters if head else None, card="", pieces=pieces)
    recogniser = Recogniser.load(tmp_path / "m")
    (_, found) = likelihoods(recogniser, [noise(20_000, 2), noise(16_000)], ["no", "YES, GO!"])
    model, prompt, ids = recogniser.model, pieces.prompt(), [*pieces.encode(" Yes go."), pieces.end]
    assert isinstance(model, Whisper) and found.keys() == ({"ctc", "attention"} if head else {"attention"})
    with torch.no_grad():
        output = model.encode(torch.tensor(noise(16_000))[None], torch.tensor([16_000]))
        logits = model.next_token_logits(output, torch.tensor([[*prompt, *ids[:-1]]]))[0].log_softmax(-1)
        nats = -sum(float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(ids))
        assert found["attention"] == (pytest.approx(nats, rel=1e-4), len(ids))
        if head:
            ctc = model.ctc_loss(output, torch.tensor([letters.encode("YES GO")]), torch.tensor([6]))
            assert found["ctc"] == (pytest.approx(float(ctc[0]), rel=1e-4), 6)
    silent, too_long = likelihoods(recogniser, [noise(16_000), noise(31 * 16_000)], ["...", "YES"])
    assert silent == too_long == {}
    assert "attention" not in likelihoods(recogniser, [noise(16_000)], ["please " * 30])[0]


def test_a_grid_keeps_nats_per_token(tmp_path: Path) -> None:
    from noisewise.audio.waveform import save

    for name, seed in (("a", 0), ("b", 1)):
        save(tmp_path / f"{name}.flac", noise(16_000, seed))
    (tmp_path / "manifest.tsv").write_text("path\ttext\na.flac\tSTOP\nb.flac\tONE ONE\n")
    config = GridConfig(manifest=str(tmp_path), nll=True, bootstrap_samples=20)
    system = load(str(MODELS / "ctc"))
    rate = (evaluate(system, config).clean.nll or {})["ctc"]
    assert system.likelihoods is not None
    from noisewise.evaluation.test_set import Speech

    speech = Speech.read(str(tmp_path))
    each = system.likelihoods([speech.waveform(name) for name in ("a", "b")], ["STOP", "ONE ONE"])
    assert rate.value == pytest.approx(sum(one["ctc"][0] for one in each) / sum(one["ctc"][1] for one in each))
    with pytest.raises(EvaluationError, match="gives no likelihoods"):
        evaluate(lambda waveforms: [""] * len(waveforms), config)
