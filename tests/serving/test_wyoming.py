"""Wyoming over a socket, by its events and by its own client."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.audio import waveform
from noisewise.serving import server, wyoming
from noisewise.serving.wyoming import WyomingEvent, read_event
from tests.serving.conftest import AN4, SIX_TWO_FOUR, serving

PCM = (waveform.load(SIX_TWO_FOUR) * 32767).astype("<i2").tobytes()
FORMAT = {"rate": 16_000, "width": 2, "channels": 1}


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, int]]:
    listening = server.bound("127.0.0.1", 0)
    address = listening.getsockname()
    limits = {"session_seconds": 20.0, "idle_seconds": 20.0}
    with serving(f"box={AN4}", limits=limits, beside=lambda service: [wyoming.serving(service, listening)]):
        yield address


def spoken(content: bytes = PCM, **data: object) -> list[WyomingEvent]:
    pieces = [content[at : at + 2000] for at in range(0, len(content), 2000)]
    chunks = [WyomingEvent("audio-chunk", FORMAT, piece) for piece in pieces]
    return [WyomingEvent("transcribe", data), WyomingEvent("audio-start", FORMAT), *chunks, WyomingEvent("audio-stop")]


def answers(place: tuple[str, int], events: list[WyomingEvent] | bytes, until: str) -> list[WyomingEvent]:
    async def run() -> list[WyomingEvent]:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(events if isinstance(events, bytes) else b"".join(event.encoded() for event in events))
        found = []
        async with asyncio.timeout(30):
            while (event := await read_event(reader)) is not None:
                found.append(event)
                if event.type == until:
                    break
        writer.close()
        return found

    return asyncio.run(run())


def test_it_wants_no_noise_reduction(place: tuple[str, int]) -> None:
    (info,) = answers(place, [WyomingEvent("describe")], "info")
    (program,) = info.data["asr"]
    assert not program["prefers_noise_reduction_enabled"] and not program["prefers_auto_gain_enabled"]
    assert program["models"][0]["languages"] == ["en"]


def test_transcripts(place: tuple[str, int]) -> None:
    names: dict[str, Any] = {"transcript_names": ["Anna", "Zoë \u03b1"], "transcript_terms": ["four"], "language": "en"}
    events = [*spoken(**names), *spoken(bytes(32_000)), *spoken(PCM[:100]), WyomingEvent("ping", {"text": "x"})]
    found = answers(place, events, "pong")
    assert [event.data["text"] for event in found if event.type == "transcript"] == ["ENTER SIX TWO FOUR", "", ""]
    assert [event.type for event in found][:4] == [
        "transcript-start",
        "transcript-chunk",
        "transcript",
        "transcript-stop",
    ]
    assert found[-1].data == {"text": "x"}


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (spoken(name="gpt"), "model_not_found"),
        (spoken(language="de"), "unsupported_language"),
        (b"no json\n", "invalid_event"),
        (b"[]\n", "invalid_event"),
        (b"x" * 70_000, "invalid_event"),
        (json.dumps({"type": "audio-chunk", "payload_length": 2**30}).encode() + b"\n", "event_too_large"),
        ([WyomingEvent("audio-start", {"rate": "fast"})], "invalid_value"),
        (spoken(np.ones(16_000 * 21, "<i2").tobytes()), "audio_too_long"),
    ],
)
def test_what_is_wrong(events: list[WyomingEvent] | bytes, code: str, place: tuple[str, int]) -> None:
    assert answers(place, events, "error")[-1].data["code"] == code


def test_half_an_event_ends_quietly(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        connection.sendall(b'{"type": "audio-chunk", "payload_length": 100}\nabc')
    assert answers(place, [WyomingEvent("describe")], "info")


def test_its_own_client(place: tuple[str, int]) -> None:
    client = pytest.importorskip("wyoming.client", reason="wyoming is not installed: pip install wyoming")
    asr, audio, info = (pytest.importorskip(f"wyoming.{name}") for name in ("asr", "audio", "info"))

    async def run() -> str:
        async with client.AsyncTcpClient(*place) as connection:
            await connection.write_event(info.Describe().event())
            described = info.Info.from_event(await connection.read_event())
            assert described.asr[0].prefers_noise_reduction_enabled is False
            await connection.write_event(asr.Transcribe(transcript_names=["Anna"]).event())
            await connection.write_event(audio.AudioStart(**FORMAT).event())
            await connection.write_event(audio.AudioChunk(**FORMAT, audio=PCM).event())
            await connection.write_event(audio.AudioStop().event())
            while True:
                event = await connection.read_event()
                if asr.Transcript.is_type(event.type):
                    return str(asr.Transcript.from_event(event).text)

    assert asyncio.run(run()) == "ENTER SIX TWO FOUR"


def test_an_event_as_bytes(tmp_path: Path) -> None:
    event = WyomingEvent("a", {"b": "ü"}, b"\x00\x01")

    async def read() -> WyomingEvent | None:
        reader = asyncio.StreamReader()
        reader.feed_data(event.encoded())
        reader.feed_eof()
        return await read_event(reader)

    assert asyncio.run(read()) == event
