"""The search by the decoder of Whisper: `generate` of transformers as oracle, company, rules, loops, known texts."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
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


class Eager:
    """A decoder to which the end is likelier by a bias, in nats."""

    def __init__(self, inner: Any, bias: float):
        self.inner, self.bias = inner, bias
        self.push, self.reorder, self.keep = inner.push, inner.reorder, inner.keep

    def step(self, tokens: Tensor) -> Tensor:
        said: Tensor = self.inner.step(tokens).clone()
        said[:, PIECES.end] += self.bias
        return said


def generated(beams: int, bias: float) -> list[list[int]]:
    """What transformers finds, without prompt and end; the best text that ends, if one of the beam does."""
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
        sequence_bias={(PIECES.end,): bias} if bias else None,
        num_return_sequences=beams,
    )
    rows = [[row[2:].tolist() for row in each] for each in found.view(len(FRAMES), beams, -1)]
    return [next((row[: row.index(PIECES.end)] for row in each if PIECES.end in row), each[0]) for each in rows]


@pytest.mark.parametrize("bias", [0.0, 5.0, 7.0])
@pytest.mark.parametrize("beams", [1, 4])
def test_texts_are_those_that_transformers_generates(model: Any, beams: int, bias: float) -> None:
    found = search(beam=beams).search(Eager(steps(model), bias), SHORT)
    texts = [each.said[0].tokens for each in found]
    assert texts == generated(beams, bias)
    assert (min(map(len, texts)) < 8) == (bias > 0)


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


LETTERS = [50, 51, 52, 53]
"""The tokens that a `Table` knows, beside the end."""


class Table:
    """A decoder of four tokens and the end, whose distribution depends on the utterance and on all tokens before."""

    def __init__(self, utterances: Sequence[int], end_bias: float):
        logits = torch.randn(997, 5, generator=torch.Generator().manual_seed(3))
        logits[:, 4] += end_bias
        self.log_probs = torch.full((997, small.TOKENS), -torch.inf)
        self.log_probs[:, [*LETTERS, PIECES.end]] = logits.log_softmax(dim=1)
        self.state = torch.tensor(utterances)

    def push(self, tokens: Tensor) -> Tensor:
        self.state = (self.state * 31 + tokens) % 997
        return self.state

    def step(self, tokens: Tensor) -> Tensor:
        return self.log_probs[self.push(tokens)]

    def reorder(self, rows: Tensor) -> None:
        self.state = self.state[rows]

    def keep(self, utterances: Tensor) -> None: ...


def told(utterance: int, text: Sequence[int], end_bias: float) -> list[float]:
    """ln P of each token of a text, and of the end behind it."""
    table, before = Table([utterance], end_bias), [*PIECES.prompt(), *text]
    rows = [table.step(torch.tensor([token]))[0] for token in before]
    following = [*text, PIECES.end]
    return [float(row[token]) for row, token in zip(rows[-len(following) :], following, strict=True)]


def by_the_rules(utterance: int, end_bias: float, beam: int, power: float, most: int) -> list[tuple[float, list[int]]]:
    """Ranks and texts by the rules in the docstring of the search, one hypothesis at a time."""
    ended, grown = list[tuple[float, list[int]]](), [(0.0, list[int]())]
    for length in range(1, most + 1):
        following = list[tuple[float, list[int]]]()
        for _, text in grown:
            for token in LETTERS if length == 1 else [*LETTERS, PIECES.end]:  # something must be said
                each = told(utterance, text if token == PIECES.end else [*text, token], end_bias)
                following.append((sum(each[:length]), [*text, token]))
        best = sorted(following, reverse=True)[: 2 * beam]
        ended += [(score / length**power, text[:-1]) for score, text in best[:beam] if text[-1] == PIECES.end]
        grown = [(score, text) for score, text in best if text[-1] != PIECES.end][:beam]
        ended.sort(reverse=True)
        if len(ended) >= beam and grown[0][0] / length**power <= ended[beam - 1][0]:
            break
    return ended or [(grown[0][0] / most**power, grown[0][1])]


@pytest.mark.parametrize("end_bias", [-1.0, 3.0])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("beam", [1, 2, 4])
def test_hypotheses_end_and_are_ranked_by_the_rules(beam: int, power: float, end_bias: float) -> None:
    utterances, most = list(range(8)), 5
    rules = DecoderSearch(PIECES, small.TOKENS, 2 + most, WhisperSearchConfig(beam=beam, length_power=power))
    found = rules.search(Table(utterances, end_bias), [9.0] * 8)
    for utterance, each in zip(utterances, found, strict=True):
        expected = by_the_rules(utterance, end_bias, beam, power, most)
        assert [said.tokens for said in each.said] == [text for _, text in expected]
        assert [said.rank(power) for said in each.said] == pytest.approx([rank for rank, _ in expected], abs=1e-4)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_beam_that_holds_every_text_finds_the_best_of_all(power: float) -> None:
    rules = DecoderSearch(PIECES, small.TOKENS, 2 + 4, WhisperSearchConfig(beam=400, length_power=power))
    found = rules.search(Table([5], -1.0), [9.0])[0].said
    texts = [list(text) for length in (1, 2, 3) for text in product(LETTERS, repeat=length)]
    ranks = [sum(told(5, text, -1.0)) / (len(text) + 1) ** power for text in texts]
    best_first = sorted(range(len(texts)), key=lambda at: -ranks[at])
    assert [each.tokens for each in found] == [texts[at] for at in best_first]
    assert [each.rank(power) for each in found] == pytest.approx([ranks[at] for at in best_first], abs=1e-4)
