"""Refuse files that are too large for the repository; run by pre-commit with the staged files.

python scripts/large_files.py FILE...
"""

import sys
from pathlib import Path

LIMIT_BYTES = 600_000
"""The largest record under results/ and the largest picture are smaller."""
ALLOWED = frozenset({"src/noisewise/assets/box/model.safetensors", "tests/fixtures/an4_ctc/model.safetensors"})
"""The model in the box, and the AN4 model, which tests use."""


def too_large(files: list[str]) -> list[str]:
    """The files over the limit, each with its size."""
    sizes = {name: Path(name).stat().st_size for name in files if Path(name).is_file() and name not in ALLOWED}
    return [f"{name}: {size / 1000:,.0f} kB" for name, size in sizes.items() if size > LIMIT_BYTES]


if __name__ == "__main__":
    found = too_large(sys.argv[1:])
    for line in found:
        print(f"{line} is over {LIMIT_BYTES // 1000} kB; keep it elsewhere, or name it in ALLOWED", file=sys.stderr)
    sys.exit(bool(found))
