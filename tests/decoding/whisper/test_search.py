"""The search by the decoder of Whisper: `generate` of transformers as oracle, company, rules, loops, known texts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.decoding.whisper.config import WhisperSearchConfig
from noisewise.decoding.whisper.search import DecoderSearch, Found, Said, scored, without_doubtful
from noisewise.errors import DecodingError, ModelError
from noisewise.layers.masking import valid_mask
from tests.models.whisper import small, tokens

FRAMES = torch.randn(6, 30, 16, generator=torch.Generator().manual_seed(2))
PIECES = tokens.tokenizer()
SHORT = [0.0] * 6
"""Seconds for which 8 tokens are allowed."""


@pytest.fixture(scope="module")
def model() -> Any:
    """The small model; it does not end its texts by itself."""
    return small.ours()


def steps(model: Any, frames: Tensor = FRAMES) -> Any:
    return model.steps(frames, torch.full((len(frames),), frames.shape[1]))


def search(**options: Any) -> DecoderSearch:
    return DecoderSearch(PIECES, small.TOKENS, 40, WhisperSearchConfig(**options))


def generated(beams: int) -> list[list[int]]:
    """What transformers finds, without prompt and end."""
    from transformers.generation.utils import GenerationMixin
    from transformers.modeling_outputs import BaseModelOutput

    theirs = small.theirs()
    prompt = torch.tensor([PIECES.prompt()] * len(FRAMES))
    never = sorted({*PIECES.steering, *PIECES.non_speech, *range(PIECES.timestamps, small.TOKENS)})
    found = GenerationMixin.generate(
        theirs,
        encoder_outputs=BaseModelOutput(FRAMES),
        decoder_input_ids=prompt,
        num_beams=beams,
        do_sample=False,
        max_new_tokens=8,
        length_penalty=1.0,
        eos_token_id=PIECES.end,
        pad_token_id=PIECES.end,
        suppress_tokens=never,
        begin_suppress_tokens=[*PIECES.encode(" "), PIECES.end],
    )
    return [row[2:].tolist() for row in found]


@pytest.mark.parametrize("beams", [1, 4])
def test_texts_are_those_that_transformers_generates(model: Any, beams: int) -> None:
    expected, found = generated(beams), search(beam=beams).search(steps(model), SHORT)
    texts = [theirs[: theirs.index(PIECES.end)] if PIECES.end in theirs else theirs for theirs in expected]
    assert [each.said[0].tokens for each in found] == texts


@pytest.mark.parametrize("beams", [1, 3])
def test_neither_company_nor_padding_changes_a_text(model: Any, beams: int) -> None:
    lengths = torch.tensor([30, 5, 17, 30, 9, 1])
    together = search(beam=beams).search(model.steps(FRAMES, lengths), SHORT)
    for row, length in enumerate(lengths.tolist()):
        alone = search(beam=beams).search(steps(model, FRAMES[row : row + 1, :length]), [0.0])[0]
        assert [each.tokens for each in alone.said] == [each.tokens for each in together[row].said]
        assert alone.said[0].score == pytest.approx(together[row].said[0].score, abs=1e-3)


def test_scores_are_those_of_the_texts_when_they_are_known(model: Any) -> None:
    found = search(beam=3).search(steps(model), SHORT)[0]
    texts = [each.tokens for each in found.said]
    known = scored(steps(model, FRAMES[:1]), found.prompt, texts, PIECES.end)
    by_text = {tuple(each.tokens): each for each in found.said}
    for each in known:
        by_search = by_text[tuple(each.tokens)].log_probs
        assert each.log_probs[: len(by_search)] == pytest.approx(by_search, abs=1e-3)
    valid = valid_mask(torch.tensor([30]), 30)
    inputs = torch.tensor([[*found.prompt, *texts[0]]])
    log_probs = model.decoder(inputs, FRAMES[:1], valid).log_softmax(dim=-1)[0, len(found.prompt) - 1 :]
    expected = [float(row[token]) for row, token in zip(log_probs.detach(), [*texts[0], PIECES.end], strict=True)]
    assert known[0].log_probs == pytest.approx(expected, abs=1e-3)


class Scripted:
    """A decoder that says the same whatever it is given: a token for each place of the text."""

    def __init__(self, said: Sequence[int], utterances: int = 1, before: int = 2):
        self.said, self.rows, self.place, self.before = said, utterances, 0, before

    def step(self, tokens: Tensor) -> Tensor:
        at = self.place - self.before + 1
        self.place += 1
        logits = torch.zeros(len(tokens), small.TOKENS)
        logits[:, self.said[at] if 0 <= at < len(self.said) else PIECES.end] = 9.0
        return logits.log_softmax(dim=1)

    def push(self, tokens: Tensor) -> Tensor:
        self.place += 1
        return tokens

    def reorder(self, rows: Tensor) -> None: ...

    def keep(self, utterances: Tensor) -> None: ...


def said(script: Sequence[int], seconds: float = 1.0, **options: Any) -> list[int]:
    return search(**options).search(Scripted(script), [seconds])[0].said[0].tokens


def test_loops_end_behind_the_first_phrase() -> None:
    words = PIECES.encode(" one two three")
    assert said([40, *words * 5], 9.0) == [40, *words]


def test_the_length_follows_from_the_duration() -> None:
    endless = list(range(100, 139))
    assert said(endless, 1.0) == endless[:18]
    assert said(endless, 1.0, tokens_per_second=3.0) == endless[:11]
    assert said(endless, 99.0) == endless[:38]  # 40 positions, 2 of them the prompt


def test_what_is_forbidden_is_not_said() -> None:
    bracket = PIECES.encode("[")[0]
    assert bracket not in said([50, bracket, 51]) and bracket in said([50, bracket, 51], suppress_symbols=False)
    for never in (PIECES.special["<|startoftranscript|>"], PIECES.timestamps + 3):
        assert never not in said([50, never, 51], suppress_symbols=False)
    assert said([PIECES.end], may_be_empty=True) == []
    assert said([PIECES.end]) != []


def test_a_language_is_chosen_or_found() -> None:
    many = tokens.tokenizer(multilingual=True)
    scripted = Scripted([many.special["<|de|>"]], before=1)
    found = DecoderSearch(many, small.TOKENS, 40).search(scripted, [0.0])[0]
    assert found.prompt == many.prompt("de")
    chosen = DecoderSearch(many, small.TOKENS, 40, WhisperSearchConfig(language="fr"))
    assert chosen.search(Scripted([], before=4), [0.0])[0].prompt == many.prompt("fr")
    with pytest.raises(ModelError, match="`language` must be one of"):
        DecoderSearch(many, small.TOKENS, 40, WhisperSearchConfig(language="xx"))


def test_nothing_is_said_where_nobody_speaks_and_the_text_is_unsure() -> None:
    config = WhisperSearchConfig()
    found = Found([Said([5, 6], [-2.0, -2.0, -2.0])], 0.7, [])
    assert without_doubtful(found, config).said == [Said([], [])]
    assert without_doubtful(replace(found, no_speech=0.5), config) is not None
    assert without_doubtful(replace(found, no_speech=0.5), config).said == found.said
    sure = replace(found, said=[Said([5, 6], [-0.5, -2.0, -0.4])])
    assert without_doubtful(sure, config) == sure


def test_hotwords_before_the_text_must_leave_room() -> None:
    full = DecoderSearch(PIECES, small.TOKENS, 40, before=[7] * 40)
    with pytest.raises(DecodingError, match="must leave room"):
        full.search(Scripted([]), [0.0])
