"""Load on `noisewise serve`: many clients at once with recordings of 5 s, latency, throughput, memory, and transcripts.

    python benchmarks/serving.py [--model box] [--clients 100] [--requests 1000] [--output results/speed/serving.json]

The server is a process of its own. Each client sends one request after another; the recordings are the bundled ones
in new noise. Transcripts are compared with those of `noisewise transcribe --channels mix`. Memory is that of the server
as Linux counts it, read ten times on the way: it must not grow with the number of requests.
"""

import argparse
import http.client
import json
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

SECONDS = 5.0
RECORDINGS = 50
ROUTE = "/v1/audio/transcriptions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="box")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--recordings", type=int, default=RECORDINGS)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_audio(folder, options.recordings)
        wanted = transcripts(options.model, folder)
        found = measure(options.model, files, options.clients, options.requests)
    different = sum(wanted[file] != text for file, text in found.pop("texts"))
    result = {
        "command": f"python benchmarks/serving.py --clients {options.clients} --requests {options.requests}",
        "machine": {"platform": platform.platform(), "python": platform.python_version()},
        **found,
        "different_transcripts": different,
    }
    print(json.dumps(result, indent=2))
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if different:
        sys.exit(f"{different} transcripts differ from those of the command line")


def make_audio(folder: Path, count: int) -> list[Path]:
    """Recordings of 5 s in a folder: bundled speech, one after another, in white noise of its own at 15 dB."""
    import numpy as np

    import noisewise
    from noisewise.audio import waveform

    bundled = Path(noisewise.__file__).parent / "assets" / "recordings"
    speech = np.concatenate([waveform.load(path) for path in sorted(bundled.glob("*.flac"))])
    random, size = np.random.default_rng(0), round(SECONDS * waveform.SAMPLE_RATE)
    files = []
    for number in range(count):
        start = int(random.integers(len(speech) - size))
        part = speech[start : start + size]
        noise = random.normal(0, np.sqrt(np.mean(part**2)) * 10 ** (-15 / 20), size)
        files.append(folder / f"{number:04}.flac")
        waveform.save(files[-1], np.clip(part + noise, -1, 1).astype(np.float32))
    return files


def transcripts(model: str, folder: Path) -> dict[str, str]:
    """What the command line gives for each file."""
    words = [sys.executable, "-m", "noisewise", "transcribe", str(folder), "--model", model, "--channels", "mix"]
    found = subprocess.run([*words, "--format", "json"], stdout=subprocess.PIPE, check=True)
    return {Path(each["source"]).name: each["text"] for each in json.loads(found.stdout)["transcripts"]}


def measure(model: str, files: list[Path], clients: int, requests: int) -> dict[str, Any]:
    """Latency, throughput and memory of a server under load, and the text of each request."""
    words = [sys.executable, "-m", "noisewise", "serve", "--model", f"served={model}", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            place = re.findall(r"http://([\d.]+):(\d+)", process.stderr.readline())[0]
            host, port = place[0], int(place[1])
            wait_until_ready(host, port)
            return load(host, port, files, clients, requests, process.pid)
        finally:
            process.terminate()


def wait_until_ready(host: str, port: int) -> None:
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=60)
        connection.request("GET", "/ready")
        if connection.getresponse().status == 200:
            return
        time.sleep(0.1)


def load(host: str, port: int, files: list[Path], clients: int, requests: int, process: int) -> dict[str, Any]:
    """Send all requests from so many clients at once."""
    bodies = [(file.name, *form(file.read_bytes())) for file in files]
    numbers, lock = iter(range(requests)), threading.Lock()
    latencies: list[float] = []
    texts: list[tuple[str, str]] = []
    refused: list[int] = []
    memory: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=600)
        while True:
            with lock:
                number = next(numbers, None)
                if number is not None and number % max(1, requests // 10) == 0:
                    memory.append(megabytes(process, "VmRSS"))
            if number is None:
                return
            name, body, kind = bodies[number % len(bodies)]
            begun = time.monotonic()
            connection.request("POST", ROUTE, body, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
            with lock:
                latencies.append(time.monotonic() - begun)
                if answer.status == 200:
                    texts.append((name, json.loads(content)["text"]))
                else:
                    refused.append(answer.status)

    begun = time.monotonic()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    seconds = time.monotonic() - begun
    return {
        "clients": clients,
        "requests": requests,
        "refused": len(refused),
        "seconds": round(seconds, 2),
        "latency_seconds": {
            "mean": round(statistics.mean(latencies), 3),
            "median": round(statistics.median(latencies), 3),
            "p95": round(sorted(latencies)[int(0.95 * (len(latencies) - 1))], 3),
            "largest": round(max(latencies), 3),
        },
        "audio_seconds_per_second": round(len(texts) * SECONDS / seconds, 1),
        "batch_size": round(batch_size(host, port), 2),
        "memory_megabytes": {"on_the_way": memory, "peak": megabytes(process, "VmHWM")},
        "texts": texts,
    }


def form(content: bytes) -> tuple[bytes, str]:
    """A form with a file: body and content type."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


def batch_size(host: str, port: int) -> float:
    """Mean number of recordings of a batch, by the server's metrics."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    total, count = (re.findall(rf"^noisewise_batch_size_{name}\S* (\S+)$", text, re.M)[0] for name in ("sum", "count"))
    return float(total) / float(count)


def megabytes(process: int, name: str) -> float:
    """Memory of a process, as Linux counts it; 0 elsewhere."""
    path = Path(f"/proc/{process}/status")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith(f"{name}:")), 0.0)


if __name__ == "__main__":
    main()
