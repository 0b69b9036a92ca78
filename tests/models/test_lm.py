"""The Transformer language model: what a token may see, what is summed, how it is tied, and that padding is nothing."""

import math

import pytest
import torch

from noisewise.errors import ConfigError
from noisewise.models.lm import END, UNKNOWN, TransformerLM, TransformerLMConfig, tiny
from noisewise.text import tokenizer, vocabulary


@pytest.fixture
def model() -> TransformerLM:
    torch.manual_seed(0)
    return TransformerLM(tiny(11)).eval()


def sentence(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(1, 11, (1, length), generator=torch.Generator().manual_seed(seed))


def test_a_token_sees_those_before_it_alone(model: TransformerLM) -> None:
    tokens = sentence(9)
    logits = model(tokens)
    assert logits.shape == (1, 9, 11)
    for place in range(9):
        changed = tokens.clone()
        changed[0, place] = (tokens[0, place] + 1) % 11
        moved = (model(changed) - logits).abs().amax(dim=2)[0]
        assert moved[:place].max() < 1e-6 if place else True
        assert moved[place:].min() > 1e-4


def test_order_matters(model: TransformerLM) -> None:
    there, back = torch.tensor([[2, 3, 4]]), torch.tensor([[3, 2, 4]])
    assert (model(there)[0, -1] - model(back)[0, -1]).abs().max() > 1e-3


def test_the_loss_is_summed_over_the_tokens_behind_the_first(model: TransformerLM) -> None:
    tokens = torch.cat((torch.tensor([[END]]), sentence(5), torch.tensor([[END]])), dim=1)
    log_probs = model(tokens[:, :-1]).detach().log_softmax(dim=-1)[0]
    by_hand = -sum(float(log_probs[at, int(tokens[0, at + 1])]) for at in range(6))
    assert model.loss(tokens, torch.tensor([7])).item() == pytest.approx(by_hand, rel=1e-5)
    assert model.loss(tokens, torch.tensor([3])).item() == pytest.approx(
        -float(log_probs[0, tokens[0, 1]] + log_probs[1, tokens[0, 2]]), rel=1e-5
    )


def test_batch_and_padding_change_nothing(model: TransformerLM) -> None:
    lengths = [3, 9, 6, 2]
    rows = [sentence(length, seed=length)[0] for length in lengths]
    alone = [model.loss(row[None], torch.tensor([len(row)])).item() for row in rows]
    for fill in (0, 7):
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)
        together = model.loss(torch.nn.functional.pad(padded, (0, 3), value=fill), torch.tensor(lengths))
        assert together.tolist() == pytest.approx(alone, abs=1e-4)


def test_embeddings_are_the_output(model: TransformerLM) -> None:
    features = torch.randn(2, 32)
    torch.testing.assert_close(model.logits(features), features @ model.embedding.weight.T)
    assert sum(parameter.numel() for parameter in model.parameters()) < 11 * 32 + 2 * (4 * 33 * 32 + 2 * 65 * 64) + 1000


def test_it_learns_a_sentence() -> None:
    torch.manual_seed(0)
    model, tokens = TransformerLM(tiny(11)), torch.tensor([[0, 2, 3, 2, 3, 2, 9, 0]])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        model.loss(tokens, torch.tensor([8])).sum().backward()
        optimizer.step()
    assert model.loss(tokens, torch.tensor([8])).item() < 0.1 * 7 * math.log(11)


def test_the_marks_are_those_of_vocabularies() -> None:
    assert vocabulary.Vocabulary.of_characters().tokens[END] == vocabulary.END
    assert vocabulary.Vocabulary.of_characters().tokens[UNKNOWN] == tokenizer.UNKNOWN


def test_the_one_of_the_paper_has_as_many_parameters_as_is_said() -> None:
    with torch.device("meta"):
        model = TransformerLM(TransformerLMConfig(layers=16))
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6) == 84


@pytest.mark.parametrize("values", [{"vocabulary": 2}, {"context": 1}, {"dim": 100, "heads": 8}, {"heads": 0}])
def test_sizes_that_cannot_be(values: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        TransformerLMConfig(**values)  # type: ignore[arg-type]
