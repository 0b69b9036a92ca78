"""Common Voice (Ardila et al., LREC 2020), one language of a release.

cv-corpus-<release>/<language>/{train,dev,test}.tsv      client_id path sentence ... gender accents ...
                               clips/<path>.mp3
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.listing import Report, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part, Rejected
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.lines import lines
from noisewise.errors import DataError

SPLITS = ("train", "dev", "test")
KEPT = ("age", "gender", "accents", "accent", "variant", "locale")
"""Columns that are kept; releases differ in which they have."""


def prepare(source: Path, output: Path, *, workers: int | None = None, report: Report | None = None) -> list[Part]:
    """Write `cuts_train.jsonl.gz`, `cuts_dev.jsonl.gz` and `cuts_test.jsonl.gz`.

    Args:
        source: folder of one language, or of a release with one language in it.
        output: folder to make.
        workers: files decoded at a time.
        report: called with (finished, all) of a part.

    Raises:
        DataError: no language or several, a table without its columns, or no clip of a part can be used.
    """
    root = _language(folder_with(source))
    parts = {split: partial(_split, root, split) for split in SPLITS}
    layout = "rows in train.tsv, dev.tsv or test.tsv"
    return prepare_parts("common_voice", root, output, parts, layout=layout, workers=workers, report=report)


def _language(source: Path) -> Path:
    """The folder that holds the tables."""
    if any((source / f"{split}.tsv").is_file() for split in SPLITS):
        return source
    languages = sorted({path.parent for split in SPLITS for path in source.glob(f"*/{split}.tsv")})
    if len(languages) == 1:
        return languages[0]
    have = f"has {', '.join(path.name for path in languages)}" if languages else "has none"
    raise DataError(f"`{source}` must hold train.tsv, or one language, but {have}; give the folder of a language")


def _split(root: Path, split: str) -> Iterator[Row | Rejected]:
    table = root / f"{split}.tsv"
    if not table.is_file():
        return
    rows = lines(table)
    names = next(rows, (1, ""))[1].rstrip("\r\n").split("\t")
    if not {"client_id", "path", "sentence"} <= set(names):
        raise DataError(f"`{table}` must have the columns client_id, path, sentence, but has {names} instead")
    for number, line in rows:
        yield _row(table, number, split, names, line.rstrip("\r\n").split("\t"))


def _row(table: Path, number: int, split: str, names: list[str], fields: list[str]) -> Row | Rejected:
    if len(fields) != len(names):
        message = f"`{table}`, line {number}: must have {len(names)} fields, but has {len(fields)} instead"
        return Rejected(f"{table}:{number}", "bad_row", message)
    values = dict(zip(names, fields, strict=True))
    if not values["sentence"].strip():
        return Rejected(f"{table}:{number}", "no_text", f"`{table}`, line {number}: must have a sentence, but has none")
    name = values["path"] if values["path"].endswith((".mp3", ".wav", ".flac")) else f"{values['path']}.mp3"
    return {
        "path": f"clips/{name}",
        "text": values["sentence"].strip(),
        "speaker": values["client_id"],
        "split": split,
        **{key: values[key] for key in KEPT if values.get(key)},
    }
