"""The default decoding of a model: what is written is read back, wherever the folder goes."""

import gzip
from pathlib import Path

import pytest

from noisewise.decoding import saved_config as default
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.rescoring import RescoringConfig
from noisewise.errors import ConfigError


def test_a_moved_folder_finds_its_files(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "an4.arpa.gz").write_bytes(gzip.compress(b"lm"))
    (tmp_path / "words").write_text("YES NO")
    config = DecodingConfig(
        search=BeamConfig(beam=7), lm=str(tmp_path / "an4.arpa.gz"), lexicon=str(tmp_path / "words"), bonus=-0.5
    )
    default.write(tmp_path / "old", config)
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "an4.arpa.gz").unlink()
    (tmp_path / "words").unlink()
    found = default.read(tmp_path / "new")
    assert found is not None
    assert (found.search.beam, found.bonus) == (7, -0.5)
    assert found.lm == str(tmp_path / "new" / "lm.arpa.gz")
    assert gzip.decompress(Path(found.lm).read_bytes()) == b"lm"
    assert Path(str(found.lexicon)).read_text() == "YES NO"
    default.write(tmp_path / "new", found)  # its own files once more
    assert default.read(tmp_path / "new") == found


def test_folders_of_language_models_move_too(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(name)
    rescoring = RescoringConfig(lm=str(tmp_path / "second"), weight=0.25)
    default.write(tmp_path / "old", DecodingConfig(lm=str(tmp_path / "first"), rescoring=rescoring))
    (tmp_path / "old").rename(tmp_path / "new")
    found = default.read(tmp_path / "new")
    assert found is not None and found.rescoring is not None and found.rescoring.weight == 0.25
    assert found.lm == str(tmp_path / "new" / "lm") and found.rescoring.lm == str(tmp_path / "new" / "rescoring_lm")
    assert (Path(found.lm) / "config.json").read_text() == "first"
    assert (Path(found.rescoring.lm) / "config.json").read_text() == "second"
    default.write(tmp_path / "new", found)  # its own folders once more
    assert default.read(tmp_path / "new") == found
    (tmp_path / "first" / "config.json").write_text("third")
    default.write(tmp_path / "new", DecodingConfig(lm=str(tmp_path / "first")))  # in the place of the old
    assert (tmp_path / "new" / "lm" / "config.json").read_text() == "third"


def test_without_a_file_there_is_none_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert default.read(tmp_path) is None
    for text in ('{"beams": 3}', "{", '{"search": {"beam": 0}}'):
        (tmp_path / "decoding.json").write_text(text)
        with pytest.raises(ValueError, match=r"beam|decoding"):
            default.read(tmp_path)
    (tmp_path / "decoding.json").write_text('{"lm_weigth": 1}')
    with pytest.raises(ConfigError, match=r"decoding\.json.*did you mean 'lm_weight'"):
        default.read(tmp_path)
