"""Fusion in the search against fusion on finished transcripts, counted one by one."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.fusion import Fusion, Scorer
from noisewise.decoding.fusion.hotwords import Hotwords
from noisewise.decoding.fusion.lexicon import Lexicon
from noisewise.decoding.fusion.lm_scorers import UNKNOWN_FLOOR, CharacterScorer, WordScorer
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.errors import DecodingError
from noisewise.lm.kneser_ney import train
from noisewise.lm.loading import load
from noisewise.lm.protocol import LanguageModel, sentence_score
from noisewise.text.tokenizer import CharacterTokenizer
from tests.decoding.batched import Batched
from tests.decoding.exhaustive import every_transcript, random_log_probs

SMALL = CharacterTokenizer(("<blank>", "|", "A", "B"))
OPEN = BeamConfig(beam=2000, nbest=2000, beam_threshold=None, token_log_prob=None)
FRAME = 0.04


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    train([["A", "BA"], ["BA"], ["A", "A", "BA", "B"], ["BA", "A"]] * 3, order=3).save(path)
    return load(path)


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("lm") / "characters.arpa"
    train([list("A|BA"), list("BA"), list("A|A|BA|B"), list("BA|A")] * 3, order=4).save(path)
    return load(path)


def decode(log_probs: Tensor, scorers: list[Scorer], config: BeamConfig = OPEN) -> list[Hypothesis]:
    decoder = PrefixBeam(SMALL, config, Fusion(scorers, len(SMALL)))
    return decoder.decode(log_probs[None], torch.tensor([len(log_probs)]), FRAME)[0]


def spelled(tokens: tuple[int, ...]) -> str:
    return "".join(SMALL.symbols[token] for token in tokens)


def check(log_probs: Tensor, scorers: list[Scorer], bonus) -> list[Hypothesis]:  # type: ignore[no-untyped-def]
    """Every transcript that the bonus allows is found, with ln P(Y | X) plus the bonus."""
    expected = {
        tokens: score + bonus(spelled(tokens))
        for tokens, (score, _, _) in every_transcript(log_probs).items()
        if bonus(spelled(tokens)) > -math.inf
    }
    found = decode(log_probs, scorers)
    assert {tuple(each.tokens) for each in found} == set(expected)
    for each in found:
        assert each.score == pytest.approx(expected[tuple(each.tokens)], abs=1e-6)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    return found


@pytest.mark.parametrize("seed", range(2))
def test_a_model_over_words(words: LanguageModel, seed: int) -> None:
    def bonus(text: str) -> float:
        said = text.replace("|", " ").split()
        state, total = words.start(), 0.0
        for word in said:
            score, state = words.score(state, word)
            total += 0.7 * score + 0.4 - (0 if words.knows(word) else 2.0)
        return total + 0.7 * words.end(state)

    scorer = WordScorer(words, SMALL, weight=0.7, bonus=0.4, unknown_penalty=2.0)
    check(random_log_probs(6, len(SMALL), seed=seed, sharpness=1.0), [scorer], bonus)


def test_hotwords_are_not_punished_as_unknown(words: LanguageModel) -> None:
    punished = WordScorer(words, SMALL, unknown_penalty=3.0)
    spared = WordScorer(words, SMALL, unknown_penalty=3.0, spared=["AB"])
    state = (words.start(), "AB")
    assert spared.final(state) == pytest.approx(punished.final(state) + 3.0)
    assert spared.final((words.start(), "ABB")) == punished.final((words.start(), "ABB"))


def test_unknown_words_stay_possible_without_unk() -> None:
    class Strict:
        def start(self) -> int:
            return 0

        def score(self, state: int, token: str) -> tuple[float, int]:
            return -230.0, 0

        def end(self, state: int) -> float:
            return 0.0

        def knows(self, token: str) -> bool:
            return False

    assert WordScorer(Strict(), SMALL).final((0, "A")) == UNKNOWN_FLOOR


def test_a_model_over_characters(characters: LanguageModel) -> None:
    def bonus(text: str) -> float:
        return 0.6 * sentence_score(characters, text) + 0.3 * len(text)

    scorer = CharacterScorer(characters, SMALL, weight=0.6, bonus=0.3)
    check(random_log_probs(6, len(SMALL), seed=3, sharpness=1.0), [scorer], bonus)


@pytest.mark.parametrize("ahead", [False, True])
def test_a_lexicon_allows_its_words_alone(words: LanguageModel, ahead: bool) -> None:
    """The look-ahead moves scores within words; whole transcripts score the same."""
    said = {"A", "BA", "BAB"}

    def bonus(text: str) -> float:
        found = text.replace("|", " ").split()
        return 0.7 * sentence_score(words, found) if set(found) <= said else -math.inf

    lexicon = Lexicon(said, SMALL, words if ahead else None, 0.7)
    assert any(lexicon._ahead) == ahead
    first, last = (WordScorer(words, SMALL, weight=weight) for weight in (0.3, 0.4))
    scorers: list[Scorer] = [first, lexicon, last]
    check(random_log_probs(6, len(SMALL), seed=4, sharpness=1.0), scorers, bonus)


def test_a_narrow_search_stays_in_the_lexicon() -> None:
    found = decode(random_log_probs(40, len(SMALL), seed=5), [Lexicon(["AB", "BA"], SMALL)], BeamConfig(beam=4))
    assert set(found[0].text.split()) <= {"AB", "BA"} and found[0].score > -math.inf


def test_when_no_word_is_complete_the_prefix_is_told() -> None:
    log_probs = torch.tensor([[0.05, 0.0, 0.9, 0.05]]).log()
    (best, *_) = decode(log_probs, [Lexicon(["AB"], SMALL)], BeamConfig(beam=1, beam_threshold=None))
    assert best.text == "A"


def test_what_neither_the_sound_nor_the_lexicon_allows() -> None:
    log_probs = torch.tensor([[0.0, -math.inf, -math.inf, -math.inf], [-math.inf, -math.inf, -math.inf, 0.0]])
    for batch in (1, 2):
        decoder = PrefixBeam(SMALL, BeamConfig(), Fusion([Lexicon(["A"], SMALL)], len(SMALL)))
        lengths = torch.full((batch,), 2)
        found = decoder.decode(log_probs.expand(batch, 2, 4), lengths, FRAME)
        assert [(each[0].text, each[0].score) for each in found] == [("", -math.inf)] * batch


def occurrences(text: str, phrase: str) -> int:
    text, phrase = f"|{text}|", f"|{phrase}|"
    return sum(text.startswith(phrase, at) for at in range(len(text)))


@pytest.mark.parametrize("phrases", [["AB"], ["AB", "A"], ["A B", "B"], ["A B A", "B A B", "A"], ["AAB", "AB", "B AB"]])
def test_hotwords_earn_their_letters_and_nothing_else(phrases: list[str]) -> None:
    def bonus(text: str) -> float:
        found = (phrase.replace(" ", "|") for phrase in phrases)
        return sum(1.5 * len(phrase.replace("|", "")) * occurrences(text, phrase) for phrase in found)

    check(random_log_probs(6, len(SMALL), seed=6, sharpness=1.0), [Hotwords(phrases, SMALL)], bonus)


def test_hotwords_may_have_boosts_of_their_own() -> None:
    def bonus(text: str) -> float:
        return 2.0 * 2 * occurrences(text, "AB") + 0.5 * occurrences(text, "A")

    check(random_log_probs(5, len(SMALL), sharpness=1.0), [Hotwords({"AB": 2.0, "A": 0.5}, SMALL)], bonus)


def test_a_hotword_wins_letter_by_letter() -> None:
    """The letters of AB are unlikely at first, so a narrow beam keeps them only if they earn at once."""
    log_probs = torch.tensor([[0.2, 0.05, 0.25, 0.5], [0.5, 0.1, 0.1, 0.3], [0.1, 0.05, 0.1, 0.75]]).log()
    narrow = BeamConfig(beam=2)
    (plain, *_) = PrefixBeam(SMALL, narrow).decode(log_probs[None], torch.tensor([3]), FRAME)[0]
    (boosted, *_) = decode(log_probs, [Hotwords(["AB"], SMALL)], narrow)
    assert plain.text != "AB" and boosted.text == "AB"


@pytest.mark.parametrize("phrase", ["", "  ", "C", "AC", "ab"])
def test_hotwords_that_cannot_be_spelled_are_refused(phrase: str) -> None:
    with pytest.raises(DecodingError, match="spell"):
        Hotwords([phrase], SMALL)


def test_a_lexicon_leaves_out_what_cannot_be_spelled() -> None:
    assert Lexicon(["A", "C", "", "A B"], SMALL).left_out == 3
    with pytest.raises(DecodingError, match="check the case"):
        Lexicon(["ab"], SMALL)


def test_all_together_in_batches_chunks_and_twice(words: LanguageModel) -> None:
    scorers = [WordScorer(words, SMALL, 0.5, 0.5), Hotwords(["BA B"], SMALL), Lexicon(["A", "B", "BA"], SMALL)]
    decoder = PrefixBeam(SMALL, BeamConfig(beam=10, nbest=3), Fusion(scorers, len(SMALL)))
    log_probs, lengths = random_log_probs(4, 30, len(SMALL)), torch.tensor([30, 0, 11, 29])
    together = decoder.decode(log_probs, lengths, FRAME)
    assert decoder.decode(log_probs, lengths, FRAME) == together
    for row, count in enumerate(lengths.tolist()):
        state = decoder.start(1)
        for at in range(0, count, 7):
            size = min(7, count - at)
            decoder.feed(state, log_probs[row : row + 1, at : at + size], torch.tensor([size]))
        (alone,) = decoder.hypotheses(state, FRAME)
        assert [each.tokens for each in alone] == [each.tokens for each in together[row]]
        assert [each.score for each in alone] == pytest.approx([each.score for each in together[row]], abs=1e-9)


def test_another_tokenizer_is_refused() -> None:
    with pytest.raises(DecodingError, match="same tokenizer"):
        PrefixBeam(CharacterTokenizer(), fusion=Fusion([Hotwords(["A"], SMALL)], len(SMALL)))


def test_more_states_than_the_table_holds_at_first(tmp_path: Path) -> None:
    class Count:
        def start(self) -> int:
            return 0

        def step(self, state: int, token: int) -> int:
            return state + 1

        def add(self, state: int, row: Tensor) -> None:
            row += state

        def final(self, state: int) -> float:
            return 0.0

    fusion = Fusion([Count()], 2)
    state = fusion.start
    for _ in range(3000):
        state = int(fusion.advance(torch.tensor([state]), torch.tensor([1])))
    table = fusion.table(torch.device("cpu"), torch.float64)
    assert table[state].tolist() == [3000.0, 3000.0] and table[7].tolist() == [7.0, 7.0]


def test_a_full_table_is_left_behind(words: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    scorers: list[Scorer] = [WordScorer(words, SMALL, 0.5, 0.5), Hotwords(["BA B"], SMALL)]
    log_probs = random_log_probs(1, 40, len(SMALL))
    decoder = PrefixBeam(SMALL, BeamConfig(beam=10, nbest=3), Fusion(scorers, len(SMALL)))
    (expected,) = decoder.decode(log_probs, torch.tensor([40]), FRAME)
    monkeypatch.setattr("noisewise.decoding.fusion.fusion.LIMIT", 20)
    state, other = decoder.start(1), decoder.start(1)
    assert state.fusion is other.fusion is decoder.fusion
    for at in range(0, 40, 4):
        decoder.feed(state, log_probs[:, at : at + 4], torch.tensor([4]))
        assert state.fusion is not None and len(state.fusion._states) < 200
        decoder.feed(other, log_probs[:, at : at + 4], torch.tensor([4]))
        decoder.start(1)  # gets a fresh table, and takes none from those under way
    assert decoder.hypotheses(state, FRAME) == [expected] == decoder.hypotheses(other, FRAME)


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_a_model_in_batches_foresees_all_that_it_is_asked(
    unit: str, words: LanguageModel, characters: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most once a frame for the whole batch, and once for the ends; also when the table is left behind."""
    log_probs = random_log_probs(5, 12, len(SMALL), seed=8)
    lengths = torch.tensor([12, 12, 7, 3, 0])

    def found(model: LanguageModel) -> list[list[Hypothesis]]:
        scorer = WordScorer(model, SMALL, 0.7, 0.4) if unit == "words" else CharacterScorer(model, SMALL, 0.7, 0.4)
        decoder = PrefixBeam(SMALL, BeamConfig(beam=6, nbest=3), Fusion([scorer, Lexicon(["A", "BA"], SMALL)], 4))
        state = decoder.start(5)
        for at in (0, 6):
            decoder.feed(state, log_probs[:, at : at + 6], (lengths - at).clamp(0, 6))
        return decoder.hypotheses(state, FRAME)

    plain = words if unit == "words" else characters
    batched = Batched(plain, unit)  # type: ignore[arg-type]
    expected = found(plain)
    assert found(batched) == expected
    assert batched.calls <= 1 + 12 + 1
    monkeypatch.setattr("noisewise.decoding.fusion.fusion.LIMIT", 3)
    assert found(Batched(plain, unit)) == expected  # type: ignore[arg-type]
