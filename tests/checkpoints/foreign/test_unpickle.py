"""Pickles that are out to do harm are refused, and nothing that they name is run."""

import argparse
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.checkpoints.foreign import unpickle
from noisewise.errors import InteropError


class Hostile:
    """Unpickles by calling something."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.arguments


def saved(path: Path, content: Any, *, archive: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("call", ["system", "eval", "getattr", "load", "touch", "exec", "import"])
def test_a_hostile_file_is_refused_and_nothing_runs(call: str, archive: bool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    inner = pickle.dumps(Hostile(Path.touch, mark))
    attacks = {
        "system": Hostile(os.system, f"touch {mark}"),
        "eval": Hostile(eval, f"open({str(mark)!r}, 'w')"),
        "getattr": Hostile(getattr, Hostile(Path, str(mark)), "touch"),
        "load": Hostile(torch.storage._load_from_bytes, inner),
        "touch": Hostile(Path.touch, mark),
        "exec": Hostile(exec, f"open({str(mark)!r}, 'w')"),
        "import": Hostile(__import__, "antigravity"),
    }
    path = saved(tmp_path / "bad.pt", {"model": {"a": torch.zeros(4)}, "extra": attacks[call]}, archive=archive)
    with pytest.raises(InteropError, match="must hold tensors and settings alone, but names"):
        unpickle.load(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        *("builtins.eval", "builtins.exec", "builtins.getattr", "builtins.__import__", "builtins.open"),
        *("os.system", "posix.system", "subprocess.Popen", "torch.load", "torch.storage._load_from_bytes"),
        *("typingx.a", "xnumpy.load", "functools.partial", "operator.methodcaller", "runpy.run_path"),
        *("torch.hub.load", "builtins.dict.update", "copyreg._reconstructor.x"),
    ],
)
def test_names_that_could_run_code_are_on_no_list(name: str) -> None:
    assert name not in unpickle.TENSORS and not unpickle.SETTINGS.fullmatch(name)


def test_only_tensors_are_rebuilt_and_all_else_is_inert(tmp_path: Path) -> None:
    """Even the names of settings, such as those of numpy, are never called: `Inert` takes their place."""
    mark = tmp_path / "mark"
    path = saved(tmp_path / "a.pt", {"model": {"a": torch.arange(3.0)}, "x": argparse.Namespace(a=1, b=[2])})
    content = unpickle.load(path)
    assert isinstance(content["model"]["a"], Tensor) and content["model"]["a"].tolist() == [0, 1, 2]
    assert type(content["x"]) is unpickle.Inert and unpickle.plain(content["x"]) == {"a": 1, "b": [2]}
    made = unpickle.Inert(Path.touch, mark)
    made.__setstate__("no dict")
    assert not mark.exists() and made.arguments == (Path.touch, mark) and made.state == {}


def test_even_a_name_that_slips_through_is_not_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second lock holds alone: torch's weights-only reader knows no other names."""
    monkeypatch.setattr(unpickle, "_names", lambda stream: iter([]))
    path = saved(tmp_path / "bad.pt", {"model": {}, "x": Hostile(Path.touch, tmp_path / "mark")})
    with pytest.raises(InteropError, match="must be a checkpoint of PyTorch"):
        unpickle.load(path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("protocol", [0, 1, 4, 5])
def test_operations_that_torch_does_not_write_are_refused(protocol: int, tmp_path: Path) -> None:
    """Names that are put together on the stack of the pickle could not be listed beforehand."""
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Hostile(Path.touch, tmp_path / "mark"), protocol=protocol) * 5)
    with pytest.raises(InteropError):
        unpickle.load(tmp_path / "a.pt")
    assert not (tmp_path / "mark").exists()


def test_bombs_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "good.pt", {"model": {"a": torch.zeros(1)}})
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("good/data/1", bytes(50_000_000))
    with pytest.raises(InteropError, match="unpack to more than the file"):
        unpickle.load(tmp_path / "packed.pt")
    wide = saved(tmp_path / "wide.pt", {"model": {"a": torch.zeros(1).expand(10**12)}})
    with pytest.raises(InteropError, match="must hold no more than its size"):
        unpickle.load(wide)


def test_a_pickle_beside_the_tensors_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "long.pt", {"model": {}, "x": "a" * 5_000})
    assert unpickle.load(path)["x"] == "a" * 5_000
    monkeypatch.setattr(unpickle, "MAX_PICKLE", 4_000)
    with pytest.raises(InteropError, match="must hold less than 4000 bytes beside tensors"):
        unpickle.load(path)


@pytest.mark.parametrize("content", [b"", b"\x80", b"hello there", b"PK\x03\x04" + bytes(100), b"\x80\x02}q\x00."])
def test_rubbish_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(InteropError, match="must be a checkpoint of PyTorch"):
        unpickle.load(tmp_path / "a.pt")


def test_settings_become_plain_values() -> None:
    node = unpickle.Inert()
    node.__setstate__({"_val": 3, "_parent": node})
    whole = unpickle.Inert()
    whole.__setstate__({"_content": {"a": node, 5: "no name"}, "_parent": None})
    assert unpickle.plain({"cfg": whole, "kind": unpickle.Inert("gelu"), "sizes": (1, 2)}) == {
        "cfg": {"a": 3},
        "kind": "gelu",
        "sizes": [1, 2],
    }
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    with pytest.raises(InteropError, match=re.escape("nested less than 50 deep")):
        unpickle.plain(deep)


def self_list() -> Any:
    inner: list[Any] = []
    inner.extend([inner] * 200_000)
    return inner


def self_dict() -> Any:
    inner: dict[str, Any] = {}
    inner |= {str(number): [inner] for number in range(10_000)}
    return inner


def fan() -> Any:
    """2^60 values in 60 lists of two."""
    inner: Any = 0
    for _ in range(60):
        inner = [inner, inner]
    return inner


def wide() -> Any:
    return {"weight": torch.zeros(1).expand(1_000_000, 1_000_000)}


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("make", [self_list, self_dict, fan])
def test_values_that_hold_themselves_end(make: Any, archive: bool, tmp_path: Path) -> None:
    """They are read or refused, each of them at once; as settings they are refused."""
    path = saved(tmp_path / "model.pt", {"model": {}, "cfg": make()}, archive=archive)
    content = unpickle.load(path)
    with pytest.raises(InteropError, match="nested less than 50 deep"):
        unpickle.plain(content["cfg"])


@pytest.mark.parametrize("place", ["alone", "in a list", "in settings"])
def test_tensors_of_a_few_bytes_that_claim_more_are_refused(place: str, tmp_path: Path) -> None:
    content = {"alone": wide(), "in a list": [[wide()]], "in settings": {"cfg": argparse.Namespace(weight=wide())}}
    with pytest.raises(InteropError, match="must hold no more than its size"):
        unpickle.load(saved(tmp_path / "model.pt", content[place]))


def test_settings_that_are_tensors_are_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pt", {"cfg": argparse.Namespace(dim=torch.ones(3)), "args": torch.ones(2)})
    content = unpickle.load(path)
    assert unpickle.plain(content["cfg"]) == {"dim": None} and unpickle.plain(content["args"]) is None


@pytest.mark.parametrize("suffix", [".pt", ".bin"])
@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02" + b"]" * 3_000_000 + b".",
        b"\x80\x02" + b"(" * 100_000 + b"l" * 100_000 + b".",
        b"\x80\x02cos\nsystem\nQ.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02.",
        b"\x80\x02K\x01K\x02s.",
        b"",
    ],
    ids=[
        "many lists",
        "nested",
        "a persistent global",
        "a persistent number",
        "nothing",
        "an item of no dict",
        "empty",
    ],
)
def test_broken_pickles_are_refused_in_one_sentence(content: bytes, suffix: str, tmp_path: Path) -> None:
    for archive in (False, True):
        path = tmp_path / f"model{archive}{suffix}"
        path.write_bytes(content)
        if archive:
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("archive/data.pkl", content)
                file.writestr("archive/version", "3\n")
        with pytest.raises(InteropError, match="must") as error:
            unpickle.load(path)
        assert len(str(error.value)) < 400 + len(str(path))


def test_deflated_pickles_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + b"]" * 10**7 + b".")
    with pytest.raises(InteropError, match="must hold its parts as they are"):
        unpickle.load(tmp_path / "model.pt")
