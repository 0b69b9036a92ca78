"""The options and the decoder that they make."""

import gzip
from pathlib import Path

import pytest
import torch

from noisewise.config import parse
from noisewise.decoding.config import DecodingConfig, build
from noisewise.decoding.fusion.lm_scorers import WordScorer
from noisewise.errors import ConfigError, NoisewiseError
from noisewise.lm.kneser_ney import train
from noisewise.lm.loading import load
from noisewise.text.tokenizer import CharacterTokenizer

TOKENIZER = CharacterTokenizer()
SENTENCES = [["CALL", "ANN"], ["CALL", "BOB"], ["CALL", "BOB", "NOW"]] * 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    train(SENTENCES, order=2).save(tmp_path / "words.arpa")
    train([list("|".join(sentence)) for sentence in SENTENCES], order=4).save(tmp_path / "characters.arpa")
    (tmp_path / "words.txt").write_text("CALL\nBOB\nANN\n")
    return tmp_path


def text(config: DecodingConfig, said: str, hotwords: tuple[str, ...] = ()) -> str:
    """What comes out when `said` is decoded, one symbol in two frames, `?` for B and V alike."""
    ids = {symbol: index for index, symbol in enumerate(TOKENIZER.symbols)}
    log_probs = torch.full((2 * len(said), len(TOKENIZER)), 0.002)
    for at, symbol in enumerate(said.replace(" ", "|")):
        log_probs[2 * at + 1, 0] = 0.9
        if symbol == "?":
            log_probs[2 * at, ids["B"]], log_probs[2 * at, ids["V"]] = 0.4, 0.5
        else:
            log_probs[2 * at, ids[symbol]] = 0.9
    log_probs = (log_probs / log_probs.sum(-1, keepdim=True)).log()
    decoder = build(config, TOKENIZER, hotwords)
    return decoder.decode(log_probs[None], torch.tensor([len(log_probs)]), 0.04)[0][0].text


def test_each_source_corrects(folder: Path) -> None:
    said = "CALL ?O?"
    assert text(DecodingConfig(), said) == "CALL VOV"
    assert text(DecodingConfig(), said, ("BOB",)) == "CALL BOB"
    assert text(DecodingConfig(), said, ("CALL BOV",)) == "CALL BOV"  # in no vocabulary
    assert text(DecodingConfig(lm=str(folder / "words.arpa")), said) == "CALL BOB"
    assert text(DecodingConfig(lm=str(folder / "characters.arpa"), lm_unit="characters", bonus=0.0), said) == "CALL BOB"
    assert text(DecodingConfig(lexicon=str(folder / "words.txt")), said) == "CALL BOB"
    both = DecodingConfig(lm=str(folder / "words.arpa"), lexicon=str(folder / "words.txt"), look_ahead=True)
    assert text(both, said) == "CALL BOB"
    assert text(both, said, ("VOV",)) == "CALL VOV"  # hotwords join the lexicon and are not punished


def test_plain_values_and_mistakes(folder: Path) -> None:
    config = parse(DecodingConfig, {"search": {"beam": 7}, "lm": "x.arpa", "lm_weight": 0.2})
    assert (config.search.beam, config.lm_weight, config.search.nbest) == (7, 0.2, 1)
    with pytest.raises(ConfigError, match="did you mean 'lm_weight'"):
        parse(DecodingConfig, {"lm_wieght": 1.0})
    with pytest.raises(NoisewiseError, match="beam"):
        parse(DecodingConfig, {"search": {"beam": 0}})
    (folder / "empty.txt").write_text("\n")
    for broken in (
        DecodingConfig(lm="none.arpa"),
        DecodingConfig(lexicon="none.txt"),
        DecodingConfig(lexicon=str(folder / "empty.txt")),
        DecodingConfig(lexicon=str(folder / "words.txt"), look_ahead=True),
    ):
        with pytest.raises(NoisewiseError, match="must"):
            build(broken, TOKENIZER)


def test_without_anything_there_is_no_fusion() -> None:
    assert build(DecodingConfig(), TOKENIZER).fusion is None


@pytest.mark.parametrize("said", ["CALL ?O?", "VEX MY QUIZ", "?", "NOW CALL ZOE"])
@pytest.mark.parametrize(("lm", "unit"), [("words.arpa", "words"), ("characters.arpa", "characters")])
def test_a_model_without_weight_has_no_say(folder: Path, said: str, lm: str, unit: str) -> None:
    values = {"lm": str(folder / lm), "lm_unit": unit, "lm_weight": 0.0}
    assert text(parse(DecodingConfig, {**values, "bonus": 0.0}), said) == text(DecodingConfig(), said)
    if unit == "words":  # a bonus alone counts words, known or not
        known, unknown = (text(parse(DecodingConfig, {**values, "bonus": 0.3}), each) for each in ("BOB", "ZOE"))
        assert (known, unknown) == ("BOB", "ZOE")


@pytest.mark.parametrize(("weight", "share"), [(0.0, 0.0), (0.01, 0.2), (0.05, 1.0), (0.5, 1.0), (1.5, 1.0)])
def test_the_oov_penalty_goes_with_the_weight(folder: Path, weight: float, share: float) -> None:
    scorer = WordScorer(load(folder / "words.arpa"), TOKENIZER, weight, unknown_penalty=5.0)
    assert scorer.unknown_penalty == pytest.approx(5.0 * share)


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_a_language_model_in_another_case_is_named(tmp_path: Path, unit: str) -> None:
    sentences = [["call", "ann"]] * 3 if unit == "words" else [list("call|ann")] * 3
    train(sentences, order=2).save(tmp_path / "small.arpa")
    config = parse(DecodingConfig, {"lm": str(tmp_path / "small.arpa"), "lm_unit": unit})
    with pytest.raises(NoisewiseError, match=r"small\.arpa.*check .*case"):
        build(config, TOKENIZER)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfCALL\r\nBOB\n", gzip.compress(b"CALL\nBOB\n", mtime=0)])
def test_lexicons_of_any_origin(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words").write_bytes(content)
    assert text(DecodingConfig(lexicon=str(tmp_path / "words")), "CALL ?O?") == "CALL BOB"
