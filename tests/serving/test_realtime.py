"""Sessions of the Realtime API: with turns, without, what is refused, and the SDK over a socket."""

import asyncio
import base64
import json
from typing import Any, cast

import numpy as np
import pytest

from noisewise.audio import waveform
from noisewise.audio.waveform import resample
from noisewise.serving.realtime import LOGPROBS, RealtimeSession
from noisewise.serving.service import Service
from tests.serving.conftest import SIX_TWO_FOUR, Client, Serve

RATE = 24_000
SAMPLES = resample(waveform.load(SIX_TWO_FOUR), 16_000, RATE)
"""Speech between pauses."""
NOISE = np.random.default_rng(0).normal(0, 1e-3, RATE).astype(np.float32)
TRANSCRIPTION = "conversation.item.input_audio_transcription"
MANUAL = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}


def appended(samples: np.ndarray, milliseconds: int = 100) -> list[dict[str, Any]]:
    """Events that bring samples in pieces."""
    content, size = (samples * 32767).astype("<i2").tobytes(), 2 * RATE * milliseconds // 1000
    pieces = [base64.b64encode(content[at : at + size]).decode() for at in range(0, len(content), size)]
    return [{"type": "input_audio_buffer.append", "audio": piece} for piece in pieces]


def answers(service: Service, *events: Any) -> list[dict[str, Any]]:
    """All that a session sends for some events."""
    found: list[dict[str, Any]] = []

    async def send(event: dict[str, Any]) -> None:
        found.append(json.loads(json.dumps(event)))

    async def run() -> None:
        session = RealtimeSession(service, send)
        await session.begin()
        for event in events:
            await session.handle(event if isinstance(event, str) else json.dumps(event))
        await session.finish()

    asyncio.run(run())
    assert len({event["event_id"] for event in found}) == len(found)
    return found[1:]


def update(session: dict[str, Any]) -> dict[str, Any]:
    return {"type": "session.update", "event_id": "mine", "session": session}


def test_turns_by_voice_activity(client: Client) -> None:
    twice = np.concatenate([NOISE, SAMPLES, NOISE, SAMPLES, NOISE])
    found = answers(client.service, *appended(twice))
    turn = ["speech_started", "speech_stopped", "committed"]
    kinds = [event["type"].removeprefix("input_audio_buffer.") for event in found]
    assert [kind for kind in kinds if kind in turn] == turn * 2
    texts = [event["transcript"] for event in found if event["type"] == f"{TRANSCRIPTION}.completed"]
    assert texts == ["ENTER SIX TWO FOUR"] * 2
    first, second = [event for event in found if event["type"].endswith("committed")]
    assert (first["previous_item_id"], second["previous_item_id"]) == (None, first["item_id"])
    started = [event["audio_start_ms"] for event in found if event["type"].endswith("started")]
    assert 600 < started[0] < 1000 and abs(started[1] - started[0] - 3744) < 200


def test_an_item_comes_before_its_text(client: Client) -> None:
    commit = {"type": "input_audio_buffer.commit"}
    include = {**MANUAL, "include": [LOGPROBS]}
    found = answers(client.service, update(include), *appended(SAMPLES), commit, *appended(SAMPLES), commit)
    assert [event["type"].rpartition(".")[2] for event in found] == [
        "updated",
        *["committed", "added"] * 2,
        *["delta", "completed"] * 2,
    ]
    delta, completed = found[5:7]
    assert delta["delta"] == completed["transcript"] == "ENTER SIX TWO FOUR"
    assert "".join(each["token"] for each in completed["logprobs"]) == completed["transcript"]
    assert completed["usage"] == {"type": "duration", "seconds": pytest.approx(2.744, abs=0.01)}
    assert completed["item_id"] == found[1]["item_id"] and completed["content_index"] == 0


def test_the_text_is_that_of_the_recording(client: Client) -> None:
    pieces = appended(SAMPLES, 1000)
    found = answers(client.service, update(MANUAL), *pieces, {"type": "input_audio_buffer.commit"})
    assert found[-1]["transcript"] == client.post().json["text"]


def test_silence_is_an_empty_text(client: Client) -> None:
    found = answers(client.service, update(MANUAL), *appended(np.zeros(RATE)), {"type": "input_audio_buffer.commit"})
    assert found[-1]["type"] == f"{TRANSCRIPTION}.completed" and found[-1]["transcript"] == ""


def test_settings(client: Client) -> None:
    given = {
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"language": "en", "keywords": ["Anna"], "delay": "low"},
                "turn_detection": {"type": "server_vad", "threshold": 0.7},
            }
        }
    }
    (updated,) = answers(client.service, update(given))
    audio = updated["session"]["audio"]["input"]
    assert audio["format"] == {"type": "audio/pcmu"}
    assert audio["transcription"] == {"model": "box", "language": "en", "keywords": ["Anna"], "delay": "low"}
    assert audio["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.7,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
    }


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("no json", "invalid_event"),
        ([1], "invalid_event"),
        ({"type": "response.create"}, "unknown_event"),
        ({"type": "input_audio_buffer.append"}, "invalid_value"),
        ({"type": "input_audio_buffer.append", "audio": "***"}, "invalid_value"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty"),
        (update({"type": "realtime"}), "invalid_value"),
        (update({"audio": {"input": {"format": {"type": "audio/mp3"}}}}), "invalid_value"),
        (update({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 1}}}}), None),
        (update({"audio": {"input": {"transcription": {"model": "gpt"}}}}), "model_not_found"),
        (update({"audio": {"input": {"transcription": {"language": "de"}}}}), "unsupported_language"),
        (update({"audio": {"input": {"transcription": {"keywords": "Anna"}}}}), "invalid_value"),
        (update({"audio": {"input": {"transcription": {"delay": "none"}}}}), "invalid_value"),
        (update({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}}), "invalid_value"),
        (update({"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": 1}}}}), "invalid_value"),
        (update({"audio": []}), "invalid_value"),
        (update({"include": ["all"]}), "invalid_value"),
    ],
)
def test_what_is_wrong_is_an_error_and_changes_nothing(event: Any, code: str | None, client: Client) -> None:
    error, updated = answers(client.service, event, update({}))
    assert (error["type"], error["error"]["code"]) == ("error", code)
    if isinstance(event, dict) and "event_id" in event:
        assert error["error"]["event_id"] == "mine"
    assert updated["session"]["audio"]["input"]["transcription"] == {"model": "box"}


def test_a_buffer_is_bounded(serve: Serve, model_dir: object) -> None:
    with serve(f"tiny={model_dir}", limits={"session_seconds": 0.5}) as client:
        found = answers(client.service, update(MANUAL), *appended(SAMPLES[:RATE]), {"type": "input_audio_buffer.clear"})
        assert found[1]["error"]["code"] == "buffer_full" and found[-1]["type"] == "input_audio_buffer.cleared"
        loud = np.concatenate([NOISE, np.random.default_rng(0).normal(0, 0.2, RATE)])
        kinds = [event["type"] for event in answers(client.service, *appended(loud))]
        assert kinds.count("input_audio_buffer.committed") >= 1  # a turn without end is cut


def test_over_a_socket(serve: Serve, model_dir: object) -> None:
    connect = pytest.importorskip("websockets.sync.client").connect
    exceptions = pytest.importorskip("websockets.exceptions")
    with serve(f"tiny={model_dir}", keys=["sk-one"], limits={"sessions": 1, "idle_seconds": 1.0}) as client:
        address = f"{client.url.replace('http', 'ws')}/v1/realtime?intent=transcription"
        with pytest.raises(exceptions.InvalidStatus) as refused:
            connect(address)
        assert refused.value.response.status_code == 401
        with pytest.raises(exceptions.InvalidStatus) as foreign:
            connect(address, additional_headers={"Authorization": "Bearer sk-one"}, origin="http://evil.example")
        assert foreign.value.response.status_code == 403
        with connect(address, subprotocols=["realtime", "openai-insecure-api-key.sk-one"]) as socket:
            assert socket.subprotocol == "realtime"
            assert json.loads(socket.recv(10))["type"] == "session.created"
            with pytest.raises(exceptions.InvalidStatus) as full:
                connect(address, additional_headers={"Authorization": "Bearer sk-one"})
            assert full.value.response.status_code == 429
            socket.send('{"type": "input_audio_buffer.clear"}')
            assert json.loads(socket.recv(10))["type"] == "input_audio_buffer.cleared"
            assert json.loads(socket.recv(30))["error"]["code"] == "idle_timeout"


def test_sdk(client: Client) -> None:
    openai = pytest.importorskip("openai", reason="the SDK of OpenAI is not installed: pip install openai")
    with (
        openai.OpenAI(base_url=f"{client.url}/v1", api_key="none") as sdk,
        sdk.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        connection.session.update(session=MANUAL)
        for event in appended(SAMPLES):
            connection.input_audio_buffer.append(audio=event["audio"])
        connection.input_audio_buffer.commit()
        seen = []
        for event in connection:
            seen.append(event.type)
            if event.type == f"{TRANSCRIPTION}.completed":
                break
        assert cast(Any, event).transcript == "ENTER SIX TWO FOUR"
        assert seen[:3] == ["session.created", "session.updated", "input_audio_buffer.committed"]
