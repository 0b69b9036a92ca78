"""CHiME-4 (Vincent et al., Computer Speech and Language 2017; LDC2017S24), as distributed.

    data/audio/16kHz/isolated/{tr05,dt05,et05}_{bus,caf,ped,str}_{real,simu}/<name>.CHn.wav
                     isolated/{tr05,dt05,et05}_bth/<speaker>_<sentence>_BTH.CHn.wav       booth, without noise
                     isolated_1ch_track/{dt05,et05}_{env}_{real,simu}/<name>.wav
                     isolated_6ch_track/...CH0.wav, isolated_ext/...CHn.Clean.wav           where one has them
    data/transcriptions/{tr05,dt05,et05}_real.dot_all, ...      lines `WORDS (<name>)`
    data/annotations/{dt05,et05}_{real,simu}_1ch_track.list     lines `<folder>/<name>.CHn.wav`
    data/WSJ0/wsj0/.../<speaker>00.dot, .../<sentence>.wv1

`<name>` is `<speaker>_<sentence>_<ENV>`, for instance F01_050C0103_BUS. Channels 1 to 6 are one tablet; 2 looks
backwards and is left out by convention. Channel 0 is a headset on another recorder, whose clock differs.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from noisewise.data.corpora.chime4_transcripts import WORDS, check_words, transcripts, wsj_transcripts
from noisewise.data.corpora.listing import Report, Rows, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part, Rejected
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.lines import lines
from noisewise.errors import DataError

SETS = ("tr05", "dt05", "et05")
KINDS = ("real", "simu")
ENVIRONMENTS = {"bus": "BUS", "caf": "CAF", "ped": "PED", "str": "STR", "bth": "BTH"}
CHANNELS = (1, 3, 4, 5, 6)
NAME = re.compile(r"(?P<name>(?P<speaker>[A-Za-z0-9]+)_(?P<sentence>[A-Za-z0-9]+)_[A-Z]{3})(?:\.CH(?P<channel>\d))?")


@dataclass(frozen=True)
class Tree:
    """Where the pieces of the corpus lie."""

    audio: Path
    data: Path
    wsj0: Path

    def words(self, part: str) -> dict[str, str]:
        """Normalised transcripts of a part such as `dt05_real`, by upper-case name or WSJ sentence."""
        path = self.data / "transcriptions" / f"{part}.dot_all"
        return transcripts(path) if path.is_file() else wsj_transcripts(self.wsj0)


def prepare(
    source: Path,
    output: Path,
    *,
    channels: Sequence[int] | None = None,
    wsj0: Path | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> list[Part]:
    """Write `cuts_tr05_real.jsonl.gz`, ... of single channels, `cuts_dt05_real_1ch.jsonl.gz`, ... of the one-channel
    track, and `cuts_dt05_bth.jsonl.gz`, ... of the booth.

    A cut has `environment` (also its `label`), `channel`, `utterance`, and those of its partners that are there:
    `close_talk` (real; not synchronous), `booth` (simulated development and test, same channel), `original`
    (simulated training: the WSJ0 recording), `clean` (the `isolated_ext` reference).

    Args:
        source: folder `data` of the corpus, or one above it.
        output: folder to make.
        channels: of `isolated/`; 1 3 4 5 6 when absent.
        wsj0: folder of WSJ0 with its .dot files; `data/WSJ0` when absent.
        workers: files decoded at a time.
        report: called with (finished, all) of a part.

    Raises:
        DataError: the folders are not there, or nothing in a part can be used.
    """
    tree = _tree(source, wsj0)
    chosen = tuple(CHANNELS if channels is None else channels)
    for part in WORDS:
        check_words(part, tree.words(part))
    parts: dict[str, Rows] = {}
    for name in SETS:
        for kind in KINDS:
            parts[f"{name}_{kind}"] = partial(_isolated, tree, name, kind, chosen)
            parts[f"{name}_{kind}_1ch"] = partial(_one_channel, tree, name, kind)
        parts[f"{name}_bth"] = partial(_isolated, tree, name, "bth", chosen)
    layout = "isolated/ with folders such as tr05_bus_real and channels " + ", ".join(map(str, chosen))
    return prepare_parts("chime4", tree.audio, output, parts, layout=layout, workers=workers, report=report)


def _tree(source: Path, wsj0: Path | None) -> Tree:
    data = folder_with(folder_with(source, "CHiME4", "CHiME3"), "data")
    audio = data / "audio" / "16kHz"
    if not audio.is_dir():
        raise DataError(f"`{audio}` must exist, but does not; give the folder that holds data/audio/16kHz")
    return Tree(audio, data, wsj0 or data / "WSJ0")


def _folders(tree: Tree, track: str, part: str, kind: str) -> Iterator[Path]:
    for environment in ENVIRONMENTS:
        name = f"{part}_bth" if environment == "bth" else f"{part}_{environment}_{kind}"
        if (environment == "bth") == (kind == "bth") and (tree.audio / track / name).is_dir():
            yield tree.audio / track / name


def _isolated(tree: Tree, part: str, kind: str, channels: Sequence[int]) -> Iterator[Row | Rejected]:
    wanted = {str(channel) for channel in channels}
    paths = [path for folder in _folders(tree, "isolated", part, kind) for path in sorted(folder.glob("*.wav"))]
    chosen = [path for path in paths if (match := NAME.fullmatch(path.stem)) and match["channel"] in wanted]
    yield from _rows(tree, f"{part}_{kind}", [(path, None) for path in chosen])


def _one_channel(tree: Tree, part: str, kind: str) -> Iterator[Row | Rejected]:
    """The files of `isolated_1ch_track`; without that folder, those that the list names below `isolated`."""
    listed = _list(tree, f"{part}_{kind}")
    paths = [p for f in _folders(tree, "isolated_1ch_track", part, kind) for p in sorted(f.glob("*.wav"))]
    if not paths:
        paths = [tree.audio / "isolated" / name for name in listed.values()]
    pairs = [(path, _channel(listed.get(path.stem.partition(".")[0], ""))) for path in paths]
    yield from _rows(tree, f"{part}_{kind}", pairs)


def _list(tree: Tree, part: str) -> dict[str, str]:
    """`<folder>/<name>.CHn.wav` by name, from the list of the one-channel track."""
    path = tree.data / "annotations" / f"{part}_1ch_track.list"
    if not path.is_file():
        return {}
    names = [line.strip().lstrip("./") for _, line in lines(path)]
    return {Path(name).stem.partition(".")[0]: name for name in names}


def _channel(name: str) -> str | None:
    match = NAME.fullmatch(Path(name).stem)
    return match["channel"] if match else None


def _rows(tree: Tree, part: str, found: Sequence[tuple[Path, str | None]]) -> Iterator[Row | Rejected]:
    if not found:
        return
    words = tree.words(part)
    for path, channel in found:
        match = NAME.fullmatch(path.stem)
        if match is None:
            yield Rejected(str(path), "bad_name", f"`{path}` must be named SPEAKER_SENTENCE_ENV.CHn.wav, but is not")
            continue
        text = words.get(match["name"].upper(), words.get(match["sentence"].upper()))
        if text is None:
            message = f"`{match['name']}` must have a transcript, but has none; give WSJ0 for simulated training"
            yield Rejected(str(path), "no_text", message)
            continue
        yield _row(tree, path, match, text, channel or match["channel"])


def _row(tree: Tree, path: Path, match: re.Match[str], text: str, channel: str | None) -> Row:
    part, _, rest = path.parent.name.partition("_")
    environment, _, kind = rest.partition("_")
    return {
        "path": path.relative_to(tree.audio).as_posix(),
        "text": text,
        "speaker": match["speaker"],
        "split": part,
        "kind": kind or "booth",
        "environment": environment,
        "label": environment,
        "utterance": match["name"],
        "channel": channel,
        **_partners(tree, path.parent.name, match, channel),
    }


def _partners(tree: Tree, folder: str, match: re.Match[str], channel: str | None) -> dict[str, str]:
    """The recordings of the same utterance with less noise, those that are there."""
    name, speaker, sentence = match["name"], match["speaker"], match["sentence"]
    part, kind = folder.partition("_")[0], folder.rpartition("_")[2]
    candidates: list[tuple[str, Path]] = []
    if kind == "real":
        tracks = ("isolated", "isolated_6ch_track")
        candidates = [("close_talk", tree.audio / track / folder / f"{name}.CH0.wav") for track in tracks]
    elif kind == "simu":
        candidates = [("clean", tree.audio / "isolated_ext" / folder / f"{name}.CH{channel}.Clean.wav")]
        booth = tree.audio / "isolated" / f"{part}_bth" / f"{speaker}_{sentence}_BTH.CH{channel}.wav"
        candidates.append(("booth", booth))
    partners = {key: str(path.absolute()) for key, path in reversed(candidates) if path.is_file()}
    if kind == "simu" and part == "tr05":
        original = _original(tree.wsj0, sentence)
        partners |= {"original": original} if original else {}
    return partners


def _original(wsj0: Path, sentence: str) -> str | None:
    """The WSJ0 recording of a training sentence: `<disc>/si_tr_s/011/011c0201.wv1`, below any folders."""
    name = sentence.lower()
    for folder in ("wsj0/si_tr_s", "si_tr_s"):
        path = wsj0 / folder / name[:3] / f"{name}.wv1"
        if path.is_file():
            return str(path.absolute())
    return None
