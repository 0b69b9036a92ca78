"""The tables of a plan's result are on the overview of results and on the pages of models, once there is a result."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.experiments.test_tables import result

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_results", ROOT / "scripts" / "write_results.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_tables_in_the_pages_are_those_of_the_files(script: ModuleType) -> None:
    for path, reproduced in script.PAGES.items():
        page = path.read_text(encoding="utf-8")
        assert script.updated_page(page, reproduced) == page, "run python scripts/write_results.py"
    page = script.ENCODER_DECODER_PAGE.read_text(encoding="utf-8")
    assert script.updated_encoder_decoder(page) == page, "run python scripts/write_results.py"


def test_rows_of_the_first_plan_with_a_result_are_shown(script: ModuleType, tmp_path: Path) -> None:
    paths = [tmp_path / "wav2code" / "mini.json", tmp_path / "wav2code_box" / "mini.json"]
    for path in paths:
        path.parent.mkdir()
    assert script.reproduction(paths) == []
    result("by_type").save(paths[1])
    assert "(`results/wav2code_box/mini.json`;" in "\n".join(script.reproduction(paths))
    result("noise_by_snr").save(paths[0])
    lines = "\n".join(script.reproduction(paths)).splitlines()
    rates = "24.0 (23.0 to 25.0) | 25.0 (24.0 to 26.0) | 26.0 (25.0 to 27.0) | 27.0 (26.0 to 28.0) | 26.8, 27.2"
    assert f"| EW2 | Noisy | {rates} |" in lines
    assert any(line.startswith("| Wav2code | None | not run |") for line in lines)
    assert any(line.startswith("(`results/wav2code/mini.json`;") for line in lines)


def test_a_page_with_markers_gets_all_tables_of_all_plans(script: ModuleType, tmp_path: Path) -> None:
    paths = [tmp_path / "wav2code" / "mini.json", tmp_path / "wav2code_box" / "mini.json"]
    for path in paths:
        path.parent.mkdir()
    page = f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n"
    assert script.updated_page(page, paths) == page
    result("noise_by_snr", "by_type").save(paths[1])
    alone = script.updated_page(page, paths)
    assert alone.startswith(f"before\n{script.BEGIN}\n**T, type A") and alone.endswith(f"{script.END}\nafter\n")
    assert "old" not in alone and script.updated_page(alone, paths) == alone
    result("summary").save(paths[0])
    both = script.updated_page(page, paths)
    assert both.index("**T**") < both.index("**T, type A")
    assert script.updated_page("no markers\n", paths) == "no markers\n"


def test_every_way_of_every_model_is_a_line(script: ModuleType) -> None:
    def cell(wer: float) -> dict[str, object]:
        return {"wer": wer, "ci": [wer - 0.01, wer + 0.02]}

    def of(*ways: str, grid: bool) -> dict[str, object]:
        measured = {"utterances": 7, **{way: cell(0.1 + number / 10) for number, way in enumerate(ways)}}
        return {
            "ways": dict.fromkeys(ways), "development": {"wer": dict.fromkeys(ways, 0.35)}, "clean": measured,
            **({"grid": measured} if grid else {}),
        }  # fmt: skip

    assert script._ways({"a": of("both", "greedy", grid=True), "b": of("both", grid=True)}) == [
        "| WER (%) | clean (7 utterances) | grid (7 utterances) | development |",
        "| --- | ---: | ---: | ---: |",
        "| a: both | 10.0 (9.0 to 12.0) | 10.0 (9.0 to 12.0) | 35.0 |",
        "| a: greedy | 20.0 (19.0 to 22.0) | 20.0 (19.0 to 22.0) | 35.0 |",
        "| b: both | 10.0 (9.0 to 12.0) | 10.0 (9.0 to 12.0) | 35.0 |",
    ]
    assert script._ways({"": of("both", grid=False)})[2] == "| both | 10.0 (9.0 to 12.0) | 35.0 |"
