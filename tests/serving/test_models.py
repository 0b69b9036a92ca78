"""The models of a server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from noisewise.errors import ConfigError, ModelError
from noisewise.inference.recogniser import Recogniser
from noisewise.serving import models
from noisewise.serving.api_error import ApiError
from noisewise.serving.models import RecognitionOptions, ServedModels, ServedRecogniser, ServedSystem, ServedTagger

NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


def shout(waveforms: list[np.ndarray]) -> list[str]:
    if any(len(each) < 8_000 for each in waveforms):
        raise RuntimeError("too short for me")
    return ["HELLO"] * len(waveforms)


@pytest.fixture(scope="module")
def served(model_dir: Path, tagger_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModels]:
    folder = tmp_path_factory.mktemp("models") / "german"
    shutil.copytree(model_dir, folder)
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**about, "languages": ["de"]}))
    (folder / models.CARD).write_text('{"score": 71.5}')
    found = models.load([f"tiny={folder}", f"sounds={tagger_dir}", f"other=python:{__name__}:shout"], hotwords=["anna"])
    yield found
    found.close()


@pytest.mark.parametrize(
    ("text", "name", "specification"),
    [
        ("box", "box", "box"),
        ("whisper-1=box", "whisper-1", "box"),
        ("org/name=runs/best", "org/name", "runs/best"),
        ("runs/an4/best", "best", "runs/an4/best"),
        ("openai:http://a:1#tiny", "tiny", "openai:http://a:1#tiny"),
        ("a=openai:http://a:1#tiny&language=en", "a", "openai:http://a:1#tiny&language=en"),
        ("python:module:function", "module:function", "python:module:function"),
    ],
)
def test_names(text: str, name: str, specification: str) -> None:
    assert models.named(text) == (name, specification)


def test_each_kind_is_seen(served: ServedModels) -> None:
    kinds = [type(each) for each in served.all.values()]
    assert kinds == [ServedRecogniser, ServedTagger, ServedSystem]
    assert served.recogniser().name == "tiny" and served.tagger().name == "sounds"


def test_what_is_said_of_a_model(served: ServedModels) -> None:
    values = served.get("tiny").values
    assert values.pop("created") > 0
    assert values == {
        "id": "tiny",
        "object": "model",
        "owned_by": "noisewise",
        "languages": ["de"],
        "robustness": {"score": 71.5},
    }
    assert "robustness" not in served.get("other").values


def test_a_recogniser_gives_what_it_gives_alone(served: ServedModels, model_dir: Path) -> None:
    model = served.recogniser("tiny")
    quiet = NOISE[:9_000] * np.float32(1 / 3)
    futures = [model.submit(each) for each in (NOISE, quiet, NOISE)]
    alone = Recogniser.load(model_dir).transcribe([NOISE, quiet], hotwords=["anna"])
    assert [future.result().text for future in futures] == [alone[0].text, alone[1].text, alone[0].text]


def test_a_text_that_cannot_be_aligned_comes_without_letters(served: ServedModels) -> None:
    model = served.recogniser("tiny")
    plain = model.submit(NOISE).result()
    assert "<unk>" in plain.text
    assert model.submit(NOISE, RecognitionOptions(letters=True)).result() == plain


def test_a_recording_that_cannot_be_used_fails_alone(served: ServedModels) -> None:
    model = served.recogniser("tiny")
    bad, good = model.submit(np.zeros(16_000, np.float32)), model.submit(NOISE)
    assert "silent" in str(bad.exception()) and good.result().words


def test_a_system_of_others(served: ServedModels) -> None:
    model = served.recogniser("other")
    good, bad = model.submit(NOISE), model.submit(NOISE[:4_000])
    assert (good.result().text, good.result().duration) == ("HELLO", 1.0)
    error = bad.exception()
    assert isinstance(error, ApiError) and error.status == 502 and "too short for me" in str(error)


def test_a_tagger(served: ServedModels) -> None:
    tags = served.tagger("sounds").submit(NOISE).result()
    assert len(tags.probabilities) == 4


def test_hotwords_that_can_be_spelled(served: ServedModels) -> None:
    model = served.get("tiny")
    assert isinstance(model, ServedRecogniser)
    assert model.spellable(["new york", "αβ", " "]) == ["NEW YORK"]


@pytest.mark.parametrize(("method", "name"), [("get", "x"), ("recogniser", "x"), ("tagger", "x")])
def test_an_unknown_name(method: str, name: str, served: ServedModels) -> None:
    with pytest.raises(ApiError, match="tiny, sounds, other") as found:
        getattr(served, method)(name)
    assert (found.value.status, found.value.code) == (404, "model_not_found")


def test_the_wrong_kind(served: ServedModels) -> None:
    with pytest.raises(ApiError, match="is a tagger"):
        served.recogniser("sounds")
    with pytest.raises(ApiError, match="is a recogniser"):
        served.tagger("tiny")


def test_what_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two are `a`"):
        models.load(["a=box", "a=runs/x"])
    with pytest.raises(ModelError, match="must be 'box' or the folder"):
        models.load([str(tmp_path / "missing")])
