"""The routes, over sockets: every format, errors, keys, equal transcripts in any company, and real clients."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from noisewise.inference.recogniser import Recogniser
from tests.serving.conftest import AN4, RECORDINGS, SIX_TWO_FOUR, Client, Serve
from tests.serving.test_recordings import wav

FILES = sorted(RECORDINGS.glob("*.flac"))


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """What the recogniser gives for each recording by itself."""
    box = Recogniser.load(AN4)
    return {file.name: box.transcribe(file) for file in FILES}


def test_json(client: Client) -> None:
    answer = client.post(fields={"model": "box", "keywords[]": ["four"], "temperature": "0.0"})
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert answer.json == {"text": "ENTER SIX TWO FOUR", "usage": {"type": "duration", "seconds": 2.744}}
    assert answer.headers["x-request-id"].startswith("req_")
    assert "x-noisewise-ignored" not in answer.headers


@pytest.mark.parametrize(
    ("form", "kind"),
    [("text", "text/plain"), ("srt", "application/x-subrip"), ("vtt", "text/vtt")],
)
def test_formats_of_text(form: str, kind: str, client: Client, alone: dict[str, Any]) -> None:
    answer = client.post(fields={"response_format": form})
    transcript = alone[SIX_TWO_FOUR.name]
    wanted = {"text": f"{transcript.text}\n", "srt": transcript.to_srt(), "vtt": transcript.to_vtt()}
    assert answer.text == wanted[form]
    assert answer.headers["content-type"].startswith(kind)


def test_verbose_json(client: Client, alone: dict[str, Any]) -> None:
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    found = client.post(fields=fields).json
    words = alone[SIX_TWO_FOUR.name].words
    assert [(each["word"], each["start"]) for each in found["words"]] == [(w.text, round(w.start, 3)) for w in words]
    assert [each["text"] for each in found["segments"]] == ["ENTER SIX TWO FOUR"]
    assert isinstance(found["duration"], float)


def test_events(client: Client) -> None:
    answer = client.post(fields={"stream": "true", "include[]": "logprobs"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *lines, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert done == "[DONE]"
    *deltas, last = map(json.loads, lines)
    assert "".join(each["delta"] for each in deltas) == last["text"] == "ENTER SIX TWO FOUR"
    assert "".join(each["token"] for each in last["logprobs"]) == last["text"]


def test_transcripts_are_those_of_the_command_line_in_any_company(client: Client, alone: dict[str, Any]) -> None:
    asked = [FILES[number % len(FILES)] for number in range(24)]
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}

    def post(number: int) -> Any:
        more = {"keywords[]": "zulu"} if number % 6 == 5 else {}
        return client.post(asked[number], fields | more).json

    before = client.service.metrics.registry.get_sample_value("noisewise_batch_size_count", {"model": "box"})
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(post, range(24)))
    for number, (file, answer) in enumerate(zip(asked, found, strict=True)):
        if number % 6 != 5:
            transcript = alone[file.name]
            assert answer["text"] == transcript.text
            times = [(round(word.start, 3), round(word.end, 3)) for word in transcript.words]
            assert [(word["start"], word["end"]) for word in answer["words"]] == times
    after = client.service.metrics.registry.get_sample_value("noisewise_batch_size_count", {"model": "box"})
    assert before is not None and after is not None and after - before < 24  # some went together


def test_a_long_recording_is_that_of_the_command_line(client: Client, tmp_path: Path, model_dir: Path) -> None:
    file = tmp_path / "long.wav"
    noise = np.random.default_rng(1).normal(0, 0.1, (44_100 * 40, 2))
    soundfile.write(file, noise, 44_100)
    wanted = Recogniser.load(model_dir).transcribe(file).text
    assert client.post(file, {"model": "org/tiny"}).json["text"] == wanted


def test_models(client: Client) -> None:
    listed = client.get("/v1/models").json
    assert listed["object"] == "list"
    assert [each["id"] for each in listed["data"]] == ["box", "org/tiny", "sounds"]
    assert client.get("/v1/models/org/tiny").json == listed["data"][1]
    assert client.get("/v1/models/other").code == "model_not_found"


def test_tags(client: Client) -> None:
    answer = client.post(fields={"top": "2"}, path="/v1/audio/tags").json
    assert (answer["object"], answer["model"], len(answer["tags"])) == ("audio.tags", "sounds", 2)
    assert len(answer["windows"]) == 2
    assert client.post(fields={"top": "0"}, path="/v1/audio/tags").json["error"]["param"] == "top"


def test_errors(client: Client) -> None:
    assert client.post(fields={"model": "gpt"}).status == 404
    assert client.post(fields={"model": "sounds"}).status == 400
    assert client.post(fields={"model": "box"}, path="/v1/audio/tags").status == 400
    assert client.post(fields={"language": "de"}).code == "unsupported_language"
    assert client.post(fields={"keywords[]": "αβγ"}).json["error"]["param"] == "keywords"
    assert client.post(b"not audio", name="x.wav").code == "invalid_value"
    assert client.post(path="/v1/audio/translations").status == 400
    assert client.get("/v1/nothing").code == "not_found"
    assert client.get("/v1/audio/transcriptions").status == 405
    for answer in (client.get("/x"), client.post(None)):
        assert answer.json["error"].keys() == {"message", "type", "param", "code"}


def test_what_is_passed_over_and_what_is_wrong_is_said(client: Client) -> None:
    answer = client.post(fields={"seed": "1", "prompt": "Hello", "x\ty\u00e9": "2"})
    assert answer.headers["x-noisewise-ignored"] == "seed, xy, prompt"
    silent = client.post(wav(1.0, level=0.0).getvalue())
    assert (silent.status, silent.json["text"]) == (200, "")
    assert silent.headers["x-noisewise-warning"].startswith("silent")
    cut = client.post(SIX_TWO_FOUR.read_bytes()[:20_000])
    assert cut.status == 200 and cut.headers["x-noisewise-warning"].startswith("truncated")


def test_health_and_metrics(client: Client) -> None:
    assert client.get("/health").json == {"status": "ok"}
    assert client.get("/ready").json == {"status": "ready"}
    client.get("/v1/models/org/tiny")
    lines = client.get("/metrics").text.splitlines()
    assert any('_requests_total{route="/v1/models/{model:path}",status="200"}' in line for line in lines)
    assert 'noisewise_queue_depth{model="box"} 0.0' in lines


def test_keys(serve: Serve, model_dir: Path) -> None:
    with serve(f"tiny={model_dir}", keys=["sk-one"]) as client:
        assert client.get("/health").status == client.get("/ready").status == 200
        for path in ("/v1/models", "/metrics"):
            assert client.get(path).code == "invalid_api_key"
            assert client.get(path, Authorization="Bearer sk-two").status == 401
            assert client.get(path, Authorization="Bearer sk-one").status == 200
        assert client.post().status == 401


def test_too_many_requests_and_too_much_time(serve: Serve) -> None:
    limits = {"requests": 1, "request_seconds": 0.5}
    with serve(f"slow=python:{__name__}:slowly", limits=limits) as client, ThreadPoolExecutor(2) as pool:
        answers = [each.result() for each in [pool.submit(client.post) for _ in range(2)]]
        assert sorted((each.status, each.code) for each in answers) == [(429, "queue_full"), (503, "timeout")]
        late = next(each for each in answers if each.status == 429)
        assert late.headers["retry-after"] == "1"
        assert client.service.admission.requests == 0


def slowly(waveforms: list[Any]) -> list[str]:
    import time

    time.sleep(0.0 if len(waveforms[0]) == 16_000 else 1.5)
    return ["SLOW"] * len(waveforms)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(client: Client) -> None:
    words = ["curl", "-s", f"{client.url}/v1/audio/transcriptions", "-F", f"file=@{SIX_TWO_FOUR}", "-F", "model=box"]
    found = subprocess.run([*words, "-F", "response_format=text"], capture_output=True, timeout=60)
    assert found.stdout == b"ENTER SIX TWO FOUR\n"


@pytest.fixture(scope="module")
def sdk(client: Client) -> Iterator[Any]:
    openai = pytest.importorskip("openai", reason="the SDK of OpenAI is not installed: pip install openai")
    with openai.OpenAI(base_url=f"{client.url}/v1", api_key="none", max_retries=0) as found:
        yield found


def test_sdk_formats(sdk: Any) -> None:
    create = sdk.audio.transcriptions.create
    found = create(model="box", file=SIX_TWO_FOUR, include=["logprobs"], keywords=["four"])
    assert found.text == "ENTER SIX TWO FOUR" and found.usage.seconds == 2.744
    assert "".join(each.token for each in found.logprobs) == found.text
    verbose = create(
        model="box", file=SIX_TWO_FOUR, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert [word.word for word in verbose.words] == found.text.split()
    assert verbose.words[0].confidence > 0.9 and verbose.segments[0].avg_logprob < 0
    assert create(model="box", file=SIX_TWO_FOUR, response_format="text") == "ENTER SIX TWO FOUR\n"
    assert create(model="box", file=SIX_TWO_FOUR, response_format="srt").startswith("1\n00:00:00,240 --> ")
    assert create(model="box", file=SIX_TWO_FOUR, response_format="vtt").startswith("WEBVTT\n")


def test_sdk_stream(sdk: Any) -> None:
    strategy = {"type": "server_vad", "threshold": 0.5}
    events = list(
        sdk.audio.transcriptions.create(model="box", file=SIX_TWO_FOUR, stream=True, chunking_strategy=strategy)
    )
    assert "".join(each.delta for each in events[:-1]) == events[-1].text == "ENTER SIX TWO FOUR"


def test_sdk_models_and_errors(sdk: Any) -> None:
    import openai

    assert [each.id for each in sdk.models.list()] == ["box", "org/tiny", "sounds"]
    assert sdk.models.retrieve("org/tiny").owned_by == "noisewise"
    with pytest.raises(openai.NotFoundError) as found:
        sdk.audio.transcriptions.create(model="gpt", file=SIX_TWO_FOUR)
    assert (found.value.code, found.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError):
        sdk.audio.transcriptions.create(model="box", file=("a.wav", b"not audio"))
