"""`noisewise demo`: transcribe the bundled noisy recordings and compare with the references."""

from typing import Annotated

import typer


def command(model: Annotated[str, typer.Option(help="`box`, or the folder of a model.")] = "box") -> None:
    """Transcribe the bundled noisy recordings; print reference, transcript, word error rate and speed."""
    import json
    import time
    from pathlib import Path

    import noisewise
    from noisewise.inference.recogniser import Recogniser
    from noisewise.scoring.words import score

    folder = Path(noisewise.__file__).parent / "assets" / "recordings"
    recordings = json.loads((folder / "recordings.json").read_text(encoding="utf-8"))
    recogniser = Recogniser.load(model)
    recogniser.transcribe(folder / recordings[0]["file"])  # the first pass of torch is slow; it is not timed
    begin = time.perf_counter()
    transcripts = recogniser.transcribe([folder / each["file"] for each in recordings])
    seconds = time.perf_counter() - begin
    audio = sum(each.duration for each in transcripts)
    for each, transcript in zip(recordings, transcripts, strict=True):
        print(f"{each['file']}  ({transcript.duration:.1f} s, {each['noise']} at {each['snr_db']} dB)")
        print(f"  reference   {each['text']}")
        print(f"  transcript  {transcript.error or transcript.text}")
    result = score([each["text"] for each in recordings], [each.text for each in transcripts])
    print(f"word error rate   {100 * result.wer:.1f} %")
    print(f"real-time factor  {seconds / audio:.4f}  ({audio:.1f} s of audio in {seconds:.2f} s)")
