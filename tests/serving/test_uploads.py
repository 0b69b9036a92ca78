"""Forms within bounds: what is refused, how, and that nothing is kept."""

import http.client

import pytest

from tests.serving.conftest import SIX_TWO_FOUR, Client, Serve, form


def test_too_large_by_its_head(serve: Serve, model_dir: object) -> None:
    with serve(f"tiny={model_dir}", limits={"upload_megabytes": 0.1}) as client:
        answer = client.post(bytes(200_000))
        assert (answer.status, answer.code) == (413, "upload_too_large")
        assert "0.1 MiB" in answer.json["error"]["message"] and "--upload-megabytes" in answer.text
        assert client.service.admission.spooled == 0
        assert _chunked(client, bytes(200_000)) == (413, "upload_too_large")
        assert _expecting(client) == 413
        assert client.service.admission.spooled == 0


def _chunked(client: Client, content: bytes) -> tuple[int, str]:
    """Send a form whose length is not said beforehand."""
    body, kind = form({}, content)
    connection = http.client.HTTPConnection(*client.place, timeout=30)
    pieces = [body[at : at + 10_000] for at in range(0, len(body), 10_000)]
    connection.request("POST", "/v1/audio/transcriptions", iter(pieces), {"Content-Type": kind}, encode_chunked=True)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode().partition('"code":"')[2].partition('"')[0]
    connection.close()
    return found


def _expecting(client: Client) -> int:
    """The answer to a client that asks before it sends."""
    connection = http.client.HTTPConnection(*client.place, timeout=30)
    connection.putrequest("POST", "/v1/audio/transcriptions")
    for name, value in (("Content-Type", "multipart/form-data; boundary=x"), ("Content-Length", "9000000")):
        connection.putheader(name, value)
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_all_together_may_be_too_much(serve: Serve, model_dir: object) -> None:
    with serve(f"tiny={model_dir}", limits={"spool_megabytes": 0.05}) as client:
        answer = client.post(bytes(100_000))
        assert (answer.status, answer.code) == (429, "spool_full")
        assert answer.headers["retry-after"] == "5"
        assert client.post(SIX_TWO_FOUR.read_bytes()[:20_000]).status in (200, 400)


@pytest.mark.parametrize(
    ("file", "fields", "code"),
    [
        (None, {}, "missing_required_parameter"),
        (None, {"file": "text"}, "invalid_type"),
        (b"", {}, "invalid_value"),
        (b"x", {f"f{number}": "" for number in range(101)}, "invalid_form"),
        (b"x", {"prompt": "x" * 70_000}, "invalid_form"),
    ],
)
def test_what_is_no_form_of_a_file(file: bytes | None, fields: dict[str, str], code: str, client: Client) -> None:
    answer = client.post(file, fields)
    assert (answer.status, answer.code) == (400, code)


def test_wrong_types(client: Client) -> None:
    path = "/v1/audio/transcriptions"
    assert client.request("POST", path, b"{}", Content_Type="application/json").status == 415
    assert client.request("POST", path, b"").code == "unsupported_media_type"
    assert client.request("POST", path, b"--x", Content_Type="multipart/form-data").code == "invalid_form"
    body, kind = form({}, b"x")
    assert client.request("POST", path, body[:-30], Content_Type=kind).status == 400
    assert client.request("POST", path, body.replace(b"name=", b"game="), Content_Type=kind).status == 400
    two = body.replace(b"--\r\n", b"\r\n", 1) + body
    assert client.request("POST", path, two, Content_Type=kind).status == 400
