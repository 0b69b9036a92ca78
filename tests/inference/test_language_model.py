"""Language models by their path: which kind it is, and what is wrong with it."""

import shutil
from pathlib import Path

import pytest
import torch

from noisewise.checkpoints import model_folder
from noisewise.errors import NoisewiseError
from noisewise.inference import language_model
from noisewise.lm import kneser_ney, mixture
from noisewise.lm.ngram import NGram
from noisewise.lm.protocol import BatchedLanguageModel, sentence_score, unit_of
from noisewise.models.lm import TransformerLM, tiny
from noisewise.text.vocabulary import Vocabulary

WORDS = Vocabulary.of_words([["YES", "NO", "GO"]], 10)


def write_lm(folder: Path, vocabulary: Vocabulary = WORDS, unit: str = "words") -> Path:
    """The folder of a Transformer with random weights."""
    torch.manual_seed(0)
    config = tiny(len(vocabulary), unit)  # type: ignore[arg-type]
    return model_folder.save(folder, TransformerLM(config), config, vocabulary, card="")


def test_a_folder_is_a_transformer_and_a_file_an_ngram(tmp_path: Path) -> None:
    model = language_model.load(write_lm(tmp_path / "lm"))
    assert isinstance(model, BatchedLanguageModel) and unit_of(model, "characters") == "words"
    whole = model_folder.load_stored(tmp_path / "lm").model(TransformerLM)
    expected = -whole.loss(torch.tensor([[0, *WORDS.encode(["GO", "X", "NO"]), 0]]), torch.tensor([5])).item()
    assert sentence_score(model, ["GO", "X", "NO"]) == pytest.approx(expected, abs=1e-4)
    assert not language_model.is_over_characters(tmp_path / "lm", True)
    kneser_ney.train([["YES", "NO"]] * 5, order=2).save(tmp_path / "lm.arpa")
    assert isinstance(language_model.load(tmp_path / "lm.arpa"), NGram)
    assert language_model.is_over_characters(tmp_path / "lm.arpa", True)
    (tmp_path / "mixed").mkdir()
    mixture.write(tmp_path / "mixed", [(tmp_path / "lm.arpa", None)], [1.0])
    assert isinstance(language_model.load(tmp_path / "mixed"), mixture.SentenceMixture)
    assert language_model.is_over_characters(tmp_path / "mixed", True)


def test_characters(tmp_path: Path) -> None:
    folder = write_lm(tmp_path / "lm", Vocabulary.of_characters(), "characters")
    assert unit_of(language_model.load(folder), "words") == "characters"
    assert language_model.is_over_characters(folder, False)


def test_what_is_no_language_model_is_said(tmp_path: Path, model_dir: Path) -> None:
    folder = write_lm(tmp_path / "lm")
    for path, backend, message in (
        (tmp_path / "none", "noisewise", "no such file"),
        (tmp_path, "noisewise", "lacks config.json"),
        (model_dir, "noisewise", "must hold a language model, but holds a model of kind ctc"),
        (folder, "kenlm", "must be noisewise for the folder"),
    ):
        with pytest.raises(NoisewiseError, match=message):
            language_model.load(path, backend)
    shutil.copy(model_dir / "tokens.txt", folder / "tokens.txt")
    with pytest.raises(NoisewiseError, match="must begin with </s>"):
        language_model.load(folder)
    Vocabulary.of_characters().save(folder / "tokens.txt")
    with pytest.raises(NoisewiseError, match="must hold 5 tokens, but holds 30"):
        language_model.load(folder)
