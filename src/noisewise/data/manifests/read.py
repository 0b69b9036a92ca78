"""Manifests: what is in a corpus, as a list of cuts.

Sources are lhotse cuts (`.jsonl`, `.jsonl.gz`; see `noisewise.data.manifests.lhotse_format`), a folder that
`noisewise prepare` has written, a table (a folder with `manifest.tsv`, or a file; see
`noisewise.data.manifests.table`), a folder in one of the layouts of `noisewise.data.manifests.folders`, and shards
(`shar:ADDRESS`; see `noisewise.data.manifests.shar`). A source may end in `#column=value&column=value` to keep the
matching cuts only, and `#repeat=3` to take each three times. `#held_out=0.1` keeps a tenth, drawn by the speaker (or by
`recording`, where there is none), and `#held_out!=0.1` the other nine: whatever else is in the manifest, all of one
source are on one side, and always on the same. `#held_out=0.1:entry` draws single entries, for a manifest of one
speaker.

A path that exists is taken as it is, whatever characters are in it: of `take#1#split=train` the longest beginning that
is there is the path, and only the rest is a filter; `$NAME` and `~` are replaced in what is not there as it is written.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from noisewise.data.manifests import lhotse_format, shar, table
from noisewise.data.manifests.cuts import Cut, column, load_audio, path_of, text_of
from noisewise.data.manifests.shard_bytes import PREFIX, is_address
from noisewise.data.random_streams import Draws
from noisewise.errors import DataError

__all__ = [
    "column",
    "expanded",
    "load_audio",
    "path_of",
    "read",
    "read_many",
    "source_of",
    "split_source",
    "stream",
    "text_of",
]

HELD_OUT = "held_out"
BY_ENTRY = ":entry"
"""Behind a share that is drawn by the entry, not by its source."""
VARIABLE = re.compile(r"\$(\w+|\{\w+\})")
"""Name of the environment in a path, as `os.path.expandvars` has it."""
PART = re.compile(r"cuts(_(?P<split>.+))?\.jsonl\.gz")
"""Name of a manifest of a prepared folder."""


def read(source: str | Path, *, split: str | None = None) -> list[Cut]:
    """Read a manifest into memory.

    Args:
        source: path, with an optional `#column=value&...` filter; `$NAME` and `~` are expanded.
        split: keep this split only; the same as `#split=...`.

    Returns:
        Cuts whose ids are relative paths without suffix; further columns are in `cut.custom`.

    Raises:
        DataError: the source is missing or malformed, an id occurs twice, no entry has a value to leave out
            (`#speaker!=fclc`), or no cut is left.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp(), "list.tsv")
        >>> _ = table.write_text("path\\tsplit\\ttext\\na.wav\\ttrain\\tYES\\nb.wav\\ttest\\tNO\\n")
        >>> [(cut.id, cut.text) for cut in read(f"{table}#split=test")]
        [('b', 'NO')]
    """
    path, wanted, repeat = _parsed(source)
    if split is not None:
        wanted["split"] = split
    entries = list(_strict(_entries(path)))
    left_out = _LeftOut(wanted, source)
    for cut in entries:
        left_out.look(cut)
    left_out.check()
    cuts = [cut for cut in entries if _fits(cut, wanted)]
    if not cuts:
        hint = "; `#held_out=0.1:entry` divides what few speakers say" if _holds_out(wanted) else ""
        raise DataError(f"`{source}` must leave at least one entry, but has none with {wanted}; check the filter{hint}")
    _check_ids(cuts, source)
    return repeated(cuts, repeat)


def stream(source: str | Path) -> Iterator[tuple[int, Cut | DataError]]:
    """Go through a manifest entry by entry, in memory that does not grow with it.

    Args:
        source: as for `read`; `#repeat` is passed over.

    Yields:
        The line (of a folder: the number of the file), and the cut or what is wrong with the line.

    Raises:
        DataError: the source as a whole cannot be read (on); or, at the end, a value to leave out that no entry
            has.
    """
    path, wanted, _ = _parsed(source)
    left_out = _LeftOut(wanted, source)
    for line, entry in _entries(path):
        if not isinstance(entry, DataError):
            left_out.look(entry)
        if isinstance(entry, DataError) or _fits(entry, wanted):
            yield line, entry
    left_out.check()


def read_many(sources: Iterable[str | Path]) -> list[Cut]:
    """Read manifests one after the other into one list with unique ids.

    Raises:
        DataError: as `read`, or an id that occurs in two manifests.
    """
    homes: dict[str, str] = {}
    cuts: list[Cut] = []
    for source in sources:
        for cut in read(source):
            if cut.id in homes:
                raise DataError(
                    f"`{source}` must not repeat ids, but '{cut.id}' is also in `{homes[cut.id]}`; "
                    "drop one of them, or use `#repeat=2` to weigh a manifest"
                )
            homes[cut.id] = str(source)
            cuts.append(cut)
    return cuts


def repeated(cuts: list[Cut], times: int) -> list[Cut]:
    """Each cut `times` times, under the ids `id`, `id~2`, `id~3`: they draw different noise."""
    if times < 1:
        raise DataError(f"`repeat` must be at least 1, but is {times} instead")
    copies = [cut.with_id(f"{cut.id}~{turn}") for turn in range(2, times + 1) for cut in cuts]
    return [*cuts, *copies]


def expanded(name: str) -> Path:
    """A path with `~` and `$NAME` replaced; one that exists as it is written is taken as it is.

    Raises:
        DataError: the environment has no such name.
    """
    return Path(_expanded(name))


def split_source(source: str | Path) -> tuple[str, str]:
    """Path and filter of a source: the longest beginning that exists is the path, else what stands before the first #.

    Example:
        >>> split_source("corpus/an4#split=test")
        ('corpus/an4', 'split=test')
    """
    name = str(source)
    for end in (len(name), *(place for place in range(len(name) - 1, -1, -1) if name[place] == "#")):
        path = name[:end]
        if _exists(path) or _exists(os.path.expanduser(os.path.expandvars(path))):
            return name[:end], name[end + 1 :]
    path, _, fragment = name.partition("#")
    return path, fragment


def _exists(name: str) -> bool:
    return os.path.exists(name.removeprefix(PREFIX))


def _expanded(name: str) -> str:
    if _exists(name):
        return name
    unset = [match for match in VARIABLE.findall(name) if match.strip("{}") not in os.environ]
    if unset:
        raise DataError(f"`{name}` must not name an unset environment variable; export it, or write the path out")
    return os.path.expanduser(os.path.expandvars(name))


def _parsed(source: str | Path) -> tuple[Path | str, dict[str, str], int]:
    """Path, filter and repetitions of a source."""
    name, fragment = split_source(source)
    wanted = _conditions(fragment, str(source))
    repeat = int(wanted.pop("repeat", "1"))
    return (_expanded(name) if is_address(name) else expanded(name)), wanted, repeat


def _conditions(fragment: str, source: str) -> dict[str, str]:
    conditions = {}
    for part in filter(None, fragment.split("&")):
        key, equals, value = part.partition("=")
        if not equals:
            raise DataError(f"`{source}` must filter by column=value, but has '{part}' instead")
        if key in conditions:
            raise DataError(
                f"`{source}` must name `{key}` once, but does so twice; write the values with commas between"
            )
        conditions[key] = value
    if not re.fullmatch("[0-9]{1,9}", conditions.get("repeat", "1")):
        raise DataError(f"`{source}` must repeat a whole number of times, but is {conditions['repeat']!r} instead")
    share = conditions.get(HELD_OUT, conditions.get(f"{HELD_OUT}!", "0.1"))
    if not _is_share(share):
        raise DataError(f"`{source}` must hold out a share between 0 and 1, but is {share!r} instead")
    return conditions


def _holds_out(wanted: dict[str, str]) -> bool:
    return any(name.rstrip("!") == HELD_OUT for name in wanted)


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text.removesuffix(BY_ENTRY)) < 1
    except ValueError:
        return False


def _fits(cut: Cut, wanted: dict[str, str]) -> bool:
    for name, value in wanted.items():
        unwanted, plain = name.endswith("!"), name.rstrip("!")
        found = is_held_out(cut, value) if plain == HELD_OUT else column(cut, plain) in value.split(",")
        if found == unwanted:
            return False
    return True


def source_of(cut: Cut) -> str:
    """Source of a clip: its speaker, the original recording, or the clip itself where neither is known."""
    return column(cut, "speaker") or column(cut, "recording") or cut.id


def _check_ids(cuts: Sequence[Cut], source: str | Path) -> None:
    twice = [name for name, count in Counter(cut.id for cut in cuts).items() if count > 1]
    if twice:
        raise DataError(
            f"`{source}` must have an id of its own for each entry, but has '{twice[0]}' more than once; rename one"
        )


class _LeftOut:
    """What a filter leaves out, to be looked for: `#speeker!=fclc`, a slip of the pen, would leave nobody out."""

    def __init__(self, wanted: dict[str, str], source: str | Path) -> None:
        self.source = source
        named = {name.rstrip("!"): value for name, value in wanted.items() if name.endswith("!")}
        self.missing = {name: dict.fromkeys(value.split(",")) for name, value in named.items() if name != HELD_OUT}
        self.columns: set[str] = set()
        """Those of the filter that some entry has."""
        self.entries = 0

    def look(self, cut: Cut) -> None:
        """Tick off what an entry has."""
        self.entries += 1
        for name, values in self.missing.items():
            if (found := column(cut, name)) is not None:
                self.columns.add(name)
                values.pop(found, None)

    def check(self) -> None:
        """Refuse what no entry had, if there was one."""
        for name, values in self.missing.items():
            if values and self.entries:
                what = f"holds no '{next(iter(values))}'" if name in self.columns else "is in no entry"
                raise DataError(f"`{self.source}` must leave out what there is, but `{name}` {what}; check the filter")


def is_held_out(cut: Cut, share: str) -> bool:
    """Whether `#held_out=SHARE` keeps a cut."""
    by_entry = share.endswith(BY_ENTRY)
    return Draws(HELD_OUT, cut.id if by_entry else source_of(cut)).uniform() < float(share.removesuffix(BY_ENTRY))


def _strict(entries: Iterable[tuple[int, Cut | DataError]]) -> Iterator[Cut]:
    for _, entry in entries:
        if isinstance(entry, DataError):
            raise entry
        yield entry


def _entries(path: Path | str) -> Iterator[tuple[int, Cut | DataError]]:
    if isinstance(path, str):
        return enumerate(shar.read(path), start=1)
    try:
        if not path.exists():
            raise DataError(f"`{path}` must be a manifest or a folder, but there is no such path; check it")
        if lhotse_format.is_lhotse(path):
            return lhotse_format.cuts(path)
        if parts := prepared_parts(path):
            return _of_parts(parts)
        if path.is_dir() and (path / "cuts.000000.jsonl.gz").is_file():
            return enumerate(shar.read(f"{PREFIX}{path}"), start=1)
        return table.cuts(table.table_of(path))
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"`{path}` must be a manifest or a folder, but cannot be opened: {error}") from error


def prepared_parts(folder: Path) -> list[Path]:
    """The manifests in a folder that `noisewise prepare` has written; none in any other, or of one with a table."""
    if not folder.is_dir() or (folder / "manifest.tsv").is_file():
        return []
    return sorted(path for path in folder.glob("cuts*.jsonl.gz") if PART.fullmatch(path.name))


def _of_parts(parts: Sequence[Path]) -> Iterator[tuple[int, Cut | DataError]]:
    """Entries of several manifests; one whose columns name no split has that of its manifest."""
    for path in parts:
        match = PART.fullmatch(path.name)
        split = match and match["split"]
        for line, cut in lhotse_format.cuts(path):
            if split and isinstance(cut, Cut) and "split" not in cut.custom:
                cut = replace(cut, custom={**cut.custom, "split": split})
            yield line, cut
