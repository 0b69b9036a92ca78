"""How long `noisewise --help` takes: the best of several starts of the interpreter.

    python benchmarks/help.py

The aim is 0.3 s. That nothing heavy is imported, on which it depends, is a test (tests/test_import.py).
"""

import subprocess
import sys
import time


def seconds() -> float:
    """One start of the interpreter and the whole overview."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "noisewise", "--help"], check=True, capture_output=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(f"noisewise --help: {min(seconds() for _ in range(7)):.3f} s")
