"""Sentences in batches: nothing lost, nothing twice, the same from any place on."""

import gzip
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch

from noisewise.data.loading.text import Pieces, TextConfig, TextSource, read
from noisewise.errors import ConfigError

LINES = [f"{'one ' * (at % 5)}two{' three' * (at % 3)}" for at in range(40)]
IDS = {"ONE": 2, "TWO": 3, "THREE": 4}


def encode(sentence: list[str]) -> list[int]:
    return [IDS.get(word, 1) for word in sentence]


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "text.txt").write_text("\n".join(LINES) + "\n\n...\n")
    return str(tmp_path / "text.txt")


def source(text: str, **values: int) -> TextSource:
    chosen = TextConfig(texts=[text], **{"batch_tokens": 30, "max_tokens": 30, **values})  # type: ignore[arg-type]
    return TextSource(chosen, TextConfig(texts=[text]), encode, seed=3)


def rows(batches) -> list[tuple[int, ...]]:  # type: ignore[no-untyped-def]
    return [
        tuple(row[: int(length)].tolist())
        for batch in batches
        for row, length in zip(batch.tokens, batch.token_lengths, strict=True)
    ]


def epoch(found: TextSource, number: int, rank: int = 0, world: int = 1):  # type: ignore[no-untyped-def]
    for at, place, batch in found.training(number, 0, rank, world):
        yield batch
        if (at, place) == (number + 1, 0):
            return


def test_an_epoch_holds_every_sentence_once(text: str) -> None:
    expected = sorted((0, *encode(line.upper().split()), 0) for line in LINES)
    found = source(text)
    for number in (0, 1):
        batches = list(epoch(found, number))
        assert sorted(rows(batches)) == expected
        assert all(batch.tokens[:, 1:].numel() <= 30 for batch in batches)
        assert all((batch.tokens[:, 0] == 0).all() for batch in batches)
    assert rows(epoch(found, 0)) != rows(epoch(found, 1))
    assert rows(epoch(found, 0)) == rows(epoch(source(text), 0))
    assert sorted(rows(found.validation())) == expected
    assert rows(found.validation()) == rows(source(text).validation())


def test_padding_is_zero_and_a_batch_has_no_sound(text: str) -> None:
    batch = next(batch for batch in epoch(source(text), 0) if batch.token_lengths.min() < batch.token_lengths.max())
    places = torch.arange(batch.tokens.shape[1])
    assert (batch.tokens[places >= batch.token_lengths[:, None]] == 0).all()
    assert batch.seconds == 0 and len(batch) == len(batch.tokens) and batch.waveform.shape == (len(batch), 0)


def test_from_any_place_the_rest_comes(text: str) -> None:
    whole = list(islice(source(text).training(0, 0, 0, 1), 20))
    for done in (1, 7, 19):
        at, place, _ = whole[done - 1]
        rest = islice(source(text).training(at, place, 0, 1), 20 - done)
        assert rows(batch for *_, batch in rest) == rows(batch for *_, batch in whole[done:])
    assert whole[-1][0] >= 1  # beyond the first epoch


def test_two_processes_share_an_epoch(text: str) -> None:
    shares = [rows(epoch(source(text), 0, rank, 2)) for rank in (0, 1)]
    assert set(shares[0] + shares[1]) == set(rows(epoch(source(text), 0)))
    assert len(list(epoch(source(text), 0, 0, 2))) == len(list(epoch(source(text), 0, 1, 2)))


def test_long_sentences_are_cut_and_each_token_is_expected_once(text: str) -> None:
    config = TextConfig(texts=[text], max_tokens=3)
    pieces = Pieces.read(config, encode)
    whole = Pieces.read(TextConfig(texts=[text]), encode)
    assert int(pieces.lengths.max()) == 3
    assert pieces.lengths.sum() == whole.lengths.sum() == sum(len(line.split()) + 1 for line in LINES)
    cut = [row for number in range(len(pieces.first)) for row in rows([pieces.batch([number])])]
    expected = [row[1:] for number in range(len(whole.first)) for row in rows([whole.batch([number])])]
    assert [token for row in cut for token in row[1:]] == [token for row in expected for token in row]
    assert all(before[-1] == after[0] for before, after in pairwise(cut))


def test_held_back_lines_are_the_others(text: str) -> None:
    held_back = list(read(TextConfig(texts=[text], only_each=7)))
    rest = list(read(TextConfig(texts=[text], but_each=7)))
    assert held_back == [line.upper().split() for line in LINES[::7]]
    assert len(held_back) + len(rest) == len(LINES)
    assert list(read(TextConfig(texts=[text], but_each=7)))[:2] == [line.upper().split() for line in LINES[1:3]]


def test_packed_text_transcripts_and_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"Yes, no\n"))
    (tmp_path / "speech").mkdir()
    for name in "ab":
        (tmp_path / "speech" / f"{name}.wav").write_bytes(b"")
    (tmp_path / "speech" / "manifest.tsv").write_text(
        "path\tduration_seconds\ttext\tsplit\na.wav\t1.0\tgo on\ttrain\nb.wav\t1.0\tstop\ttest\n"
    )
    monkeypatch.setenv("PLACE", str(tmp_path))
    config = TextConfig(texts=["$PLACE/text.gz"], manifests=["$PLACE/speech#split=train"])
    assert list(read(config)) == [["YES", "NO"], ["GO", "ON"]]
    assert list(read(config, characters=True)) == [list("YES|NO"), list("GO|ON")]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("...\n")
    with pytest.raises(ValueError, match="must keep a word under the normaliser"):
        Pieces.read(TextConfig(texts=[str(tmp_path / "text.txt")]), encode)
    with pytest.raises(ValueError, match="no such file"):
        Pieces.read(TextConfig(texts=["none.txt"]), encode)
    for values in ({}, {"texts": ["a"], "only_each": 1}, {"texts": ["a"], "max_tokens": 9, "batch_tokens": 8}):
        with pytest.raises(ConfigError, match="must"):
            TextConfig(**values)  # type: ignore[arg-type]
