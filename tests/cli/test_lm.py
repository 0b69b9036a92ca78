from pathlib import Path

import pytest

from noisewise.cli.main import main

TEXT = "\n".join(f"one {'two ' * (at % 4)}three {'four' if at % 3 else 'five'}" for at in range(50))


def test_train_then_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "test.txt").write_text("One two, three six.\n")
    model = tmp_path / "lm.arpa.gz"
    assert main(["lm", "train", str(tmp_path / "text.txt"), "--order", "3", "--output", str(model)]) == 0
    assert "8 1-grams" in capsys.readouterr().out  # five words, two marks and <unk>
    assert main(["lm", "score", str(model), str(tmp_path / "test.txt")]) == 0
    shown = capsys.readouterr().out
    assert "unknown               1 (25.00 %)" in shown
    numbers = {line.rsplit(maxsplit=1)[0].strip(): float(line.split()[-1]) for line in shown.splitlines()[3:]}
    assert 1 < numbers["without the unknown"] < numbers["perplexity"]


def test_characters_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    model = tmp_path / "lm.arpa"
    options = ["--characters", "--order", "2", "--prune", "0", "1", "--output", str(model)]
    assert main(["lm", "train", str(tmp_path / "text.txt"), *options]) == 0
    assert "\t|\t" in model.read_text()
    assert main(["lm", "score", str(model), str(tmp_path / "text.txt"), "--characters"]) == 0
    assert "unknown               0" in capsys.readouterr().out
    options = ["--vocabulary", "2", "--output", str(model)]
    assert main(["lm", "train", str(tmp_path / "text.txt"), *options]) == 0
    assert "5 1-grams" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score", "none.arpa", "none.txt"], "no such file"),
        (["train", "none.txt", "--output", "lm.arpa"], "no such file"),
        (["train", "none.txt", "--output", "nowhere/lm.arpa"], "no such folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lm", *words]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
