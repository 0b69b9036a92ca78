from pathlib import Path

import pytest

from noisewise.data.manifests.shard_bytes import address, fetch, is_address
from noisewise.errors import AudioError


def test_bytes_by_their_address(tmp_path: Path) -> None:
    (tmp_path / "a@1+b.tar").write_bytes(bytes(range(100)))
    place = address(f"{tmp_path}/a@1+b.tar", 10, 5, "x/y@2+3.flac")
    assert is_address(place) and not is_address("/x/y.flac")
    file = fetch(place)
    assert file.read() == bytes([10, 11, 12, 13, 14]) and file.name == place


@pytest.mark.parametrize(
    ("place", "reason"),
    [("shar:{0}/a.tar@98+5/x.flac", "truncated"), ("shar:{0}/b.tar@0+5/x.flac", "missing"), ("shar:x", "missing")],
)
def test_what_cannot_be_had(place: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(bytes(100))
    with pytest.raises(AudioError) as caught:
        fetch(place.format(tmp_path))
    assert caught.value.reason == reason
