"""Manifests: what is in a corpus, as a lhotse CutSet.

Three sources are read: lhotse cuts (`.jsonl`, `.jsonl.gz`), a table (a folder with `manifest.tsv`, or a
`.tsv`, `.csv` or `.jsonl` file; see `noisewise.data.corpora.table`), and a plain folder of audio. A source
may end in `#column=value&column=value` to keep the matching cuts only, and `#repeat=3` to take each three
times.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lhotse import CutSet, MonoCut
from lhotse.serialization import load_jsonl

from noisewise.data.corpora import table
from noisewise.data.cuts import ManifestError, column, load_audio, path_of, text_of

__all__ = ["ManifestError", "column", "load_audio", "path_of", "read", "read_many", "text_of"]


def read(source: str | Path, *, split: str | None = None) -> CutSet:
    """Read a manifest into memory.

    Args:
        source: path, with an optional `#column=value&...` filter; `$NAME` and `~` are expanded.
        split: keep this split only; the same as `#split=...`.

    Returns:
        Cuts whose ids are relative paths without suffix; the columns that lhotse has no field for are in
        `cut.custom`.

    Raises:
        ManifestError: missing or malformed source, an unknown column, or no cut left.
    """
    name, _, fragment = str(source).partition("#")
    wanted = _conditions(fragment, str(source))
    if split is not None:
        wanted["split"] = split
    repeat = int(wanted.pop("repeat", "1"))
    cuts = _read_all(_expanded(name))
    cuts = [cut for cut in cuts if _fits(cut, wanted)]
    if not cuts:
        raise ManifestError(f"`{source}` must leave at least one entry, but has none with {wanted}; check the filter")
    return CutSet.from_cuts(repeated(cuts, repeat))


def read_many(sources: Iterable[str | Path]) -> list[MonoCut]:
    """Read manifests one after the other into one list with unique ids.

    Raises:
        ManifestError: as `read`, or an id that occurs in two manifests.
    """
    homes: dict[str, str] = {}
    cuts: list[MonoCut] = []
    for source in sources:
        for cut in read(source):
            if cut.id in homes:
                raise ManifestError(
                    f"`{source}` must not repeat ids, but '{cut.id}' is also in `{homes[cut.id]}`; "
                    "drop one of them, or use `#repeat=2` to weigh a manifest"
                )
            homes[cut.id] = str(source)
            cuts.append(cut)
    return cuts


def repeated(cuts: list[MonoCut], times: int) -> list[MonoCut]:
    """Each cut `times` times, under the ids `id`, `id~2`, `id~3`: they draw different noise."""
    if times < 1:
        raise ManifestError(f"`repeat` must be at least 1, but is {times} instead")
    copies = [cut.with_id(f"{cut.id}~{turn}") for turn in range(2, times + 1) for cut in cuts]
    return [*cuts, *copies]


def _expanded(name: str) -> Path:
    expanded = os.path.expanduser(os.path.expandvars(name))
    if "$" in expanded:
        raise ManifestError(f"`{name}` must not name an unset environment variable; export it, or write the path out")
    return Path(expanded)


def _conditions(fragment: str, source: str) -> dict[str, str]:
    conditions = {}
    for part in filter(None, fragment.split("&")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ManifestError(f"`{source}` must filter by column=value, but says '{part}' instead")
        conditions[key] = value
    if not conditions.get("repeat", "1").isdigit():
        raise ManifestError(
            f"`{source}` must repeat a whole number of times, but says {conditions['repeat']!r} instead"
        )
    return conditions


def _fits(cut: MonoCut, wanted: dict[str, str]) -> bool:
    for name, value in wanted.items():
        unwanted = name.endswith("!")
        if (column(cut, name.rstrip("!")) in value.split(",")) == unwanted:
            return False
    return True


def _read_all(path: Path) -> list[MonoCut]:
    if not path.exists():
        raise ManifestError(f"`{path}` must be a manifest or a folder, but there is no such path; check it")
    if path.is_dir():
        return table.read_folder(path)
    if path.name.endswith(".jsonl.gz") or (path.suffix == ".jsonl" and _is_lhotse(path)):
        return _read_cuts(path)
    return table.read_table(path)


def _is_lhotse(path: Path) -> bool:
    with path.open(encoding="utf-8") as lines:
        return '"MonoCut"' in next(lines, "")


def _read_cuts(path: Path) -> list[MonoCut]:
    cuts = []
    for line, values in enumerate(_json_lines(path), start=1):
        if values.get("type") != "MonoCut":
            raise ManifestError(f"`{path}`, line {line}: must be a MonoCut, but is {values.get('type')!r} instead")
        cuts.append(_located(next(iter(CutSet.from_dicts([values]))), path, line))
    return cuts


def _json_lines(path: Path) -> Iterable[dict[str, Any]]:
    try:
        yield from load_jsonl(path)
    except (ValueError, OSError, EOFError) as error:
        raise ManifestError(f"`{path}` must be JSON lines, but is not: {error}; prepare it again") from error


def _located(cut: MonoCut, manifest: Path, line: int) -> MonoCut:
    """Resolve a relative audio path against the folder of the manifest."""
    if cut.recording is None or cut.recording.sources[0].type != "file":
        raise ManifestError(f"`{manifest}`, line {line}: cut '{cut.id}' must have an audio file, but has none")
    source = cut.recording.sources[0]
    source.source = str(manifest.parent / source.source)
    return cut
