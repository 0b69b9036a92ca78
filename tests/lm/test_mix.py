"""A mixture in a folder is the mixture of its models."""

from pathlib import Path

import pytest

from noisewise.errors import DecodingError
from noisewise.lm import kneser_ney
from noisewise.lm.loading import is_mixture, load
from noisewise.lm.mix import mix
from noisewise.lm.protocol import sentence_score


def test_the_folder_stands_alone_and_its_weights_are_fitted(tmp_path: Path) -> None:
    texts = {"a": [["ONE", "TWO"], ["ONE"]] * 9, "b": [["TWO", "THREE"], ["THREE"]] * 9}
    files: list[tuple[Path, Path | None]] = []
    for name, text in texts.items():
        kneser_ney.train(text, order=2).save(tmp_path / f"{name}.arpa")
        files.append((tmp_path / f"{name}.arpa", None))
    weights = mix(files, tmp_path / "fitted", texts["a"])
    assert weights[0] > 0.9 and sum(weights) == pytest.approx(1)
    assert mix(files, tmp_path / "equal") == [0.5, 0.5]
    for lm, _ in files:
        lm.unlink()
    fitted, equal = load(tmp_path / "fitted"), load(tmp_path / "equal")
    assert is_mixture(tmp_path / "fitted")
    assert sentence_score(fitted, ["ONE", "TWO"]) > sentence_score(equal, ["ONE", "TWO"])


def test_a_folder_that_is_there_and_an_empty_text_are_refused(tmp_path: Path) -> None:
    kneser_ney.train([["ONE"], ["TWO"]], order=1).save(tmp_path / "a.arpa")
    files: list[tuple[Path, Path | None]] = [(tmp_path / "a.arpa", None)] * 2
    with pytest.raises(DecodingError, match="there already"):
        mix(files, tmp_path)
    with pytest.raises(DecodingError, match="must hold a sentence"):
        mix(files, tmp_path / "new", [])
    assert not (tmp_path / "new").exists()
