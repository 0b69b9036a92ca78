"""Names of the hub, with a hub of our own: no test asks the network."""

from pathlib import Path
from typing import Any

import pytest

from noisewise import hub
from noisewise.checkpoints import model_folder
from noisewise.errors import ModelError

huggingface_hub = pytest.importorskip("huggingface_hub")
HASH = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Stands for `snapshot_download`; holds what is cached and what is online."""

    def __init__(self, folder: Path, *, cached: bool = False, online: bool = True) -> None:
        self.folder, self.cached, self.online = folder, cached, online
        self.asked: list[dict[str, Any]] = []

    def __call__(self, repository: str, **asked: Any) -> str:
        self.asked.append({"repository": repository, **asked})
        if self.cached if asked["local_files_only"] else self.online:
            return str(self.folder)
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network\n and not in the cache")


def install(monkeypatch: pytest.MonkeyPatch, made: Hub) -> Hub:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made)
    return made


def test_the_revision_is_asked_for_and_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").touch()
    made = install(monkeypatch, Hub(tmp_path))
    assert hub.fetch("hf:facebook/wav2vec2-base-960h@v1") == tmp_path
    (asked,) = made.asked
    assert (asked["repository"], asked["revision"]) == ("facebook/wav2vec2-base-960h", "v1")
    assert asked["allow_patterns"] == ["*.json", "*.safetensors"]


def test_an_old_pickle_where_there_is_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = install(monkeypatch, Hub(tmp_path))
    hub.fetch("hf:a/b@main")
    assert [asked["allow_patterns"][1] for asked in made.asked] == ["*.safetensors", "pytorch_model.bin", "model.bin"]


def test_a_commit_in_the_cache_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").touch()
    made = install(monkeypatch, Hub(tmp_path, cached=True, online=False))
    assert hub.fetch(f"hf:a/b@{HASH}") == tmp_path
    assert [asked["local_files_only"] for asked in made.asked] == [True]


@pytest.mark.parametrize("revision", [HASH, "main"])
def test_offline_it_is_one_clear_sentence(revision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Hub(tmp_path, online=False))
    with pytest.raises(ModelError, match=r"cannot be fetched: no network and not in the cache; download it"):
        model_folder.load(f"hf:a/b@{revision}")


@pytest.mark.parametrize("name", ["hf:a/b", "hf:", "hf:a/b/c@main", "hf:a/b@", "hf:../b@main x"])
def test_a_name_without_revision_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = install(monkeypatch, Hub(tmp_path))
    with pytest.raises(ModelError, match="must be hf:ORGANISATION/NAME@REVISION"):
        model_folder.load(name)
    assert not made.asked
