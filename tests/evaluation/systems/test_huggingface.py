"""Folders of transformers on the grid: a tiny random CTC model, called with arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noisewise.cli import main as cli
from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems import huggingface
from noisewise.evaluation.systems.loading import load as load_recogniser
from noisewise.evaluation.systems.protocol import Failure, attempt
from noisewise.evaluation.systems.specification import parsed
from tests.corpus import write_corpus
from tests.fixtures import tiny_transformers

transformers = pytest.importorskip("transformers")
SYMBOLS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGH"]


def tiny() -> Any:
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        vocab_size=len(SYMBOLS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8, 8), conv_kernel=(10, 8), conv_stride=(8, 8), num_feat_extract_layers=2,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    model = transformers.Wav2Vec2ForCTC(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(100)  # sharp, so that frames differ
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as people have it: config.json, model.safetensors, vocab.json, preprocessor_config.json."""
    path = tmp_path_factory.mktemp("hf") / "tiny"
    tiny().save_pretrained(path)
    (path / "vocab.json").write_text(json.dumps({symbol: index for index, symbol in enumerate(SYMBOLS)}))
    transformers.Wav2Vec2CTCTokenizer(str(path / "vocab.json")).save_pretrained(path)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(path)
    return path


def sounds() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, length).astype(np.float32) for length in (8000, 4000, 6400, 16_000)]


def expected(model: Any, waveform: np.ndarray) -> str:
    """Greedy CTC, written out."""
    values = torch.from_numpy((waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7))[None]
    with torch.no_grad():
        best = model.eval()(values).logits[0].argmax(-1).tolist()
    kept = [one for index, one in enumerate(best) if one != 0 and (index == 0 or one != best[index - 1])]
    specials = {1, 2, 3}
    return " ".join("".join(SYMBOLS[one] for one in kept if one not in specials).replace("|", " ").split())


def test_a_folder_hears_what_its_model_says(folder: Path) -> None:
    named = load_recogniser(f"hf:{folder}")
    found = named.recognise(sounds())
    model = tiny()
    clean = [" ".join(str(one).replace("<s>", "").replace("</s>", "").replace("<unk>", "").split()) for one in found]
    assert clean == [expected(model, one) for one in sounds()]
    assert len(set(clean)) > 1 and any(clean), "the model must say something, or nothing is tested"
    assert len(named.details["weights_sha256"]) == 64 and named.details["model"] == "Wav2Vec2ForCTC"


def test_threads_and_company_change_nothing(folder: Path) -> None:
    alone = [load_recogniser(f"hf:{folder}").recognise([one])[0] for one in sounds()]
    assert list(load_recogniser(f"hf:{folder}", workers=3).recognise(sounds())) == alone


def test_what_is_too_short_fails_alone(folder: Path) -> None:
    found = attempt(load_recogniser(f"hf:{folder}").recognise, [sounds()[0], np.ones(4, dtype=np.float32)])
    assert isinstance(found[0], str) and isinstance(found[1], Failure)


@pytest.mark.parametrize("name", ["../no/such/folder", "", "a b", "https://huggingface.co/a/b"])
def test_what_is_neither_folder_nor_id_is_refused(name: str) -> None:
    with pytest.raises(NoisewiseError, match="must be a folder or the id"):
        load_recogniser(f"hf:{name}")


def test_a_folder_that_lacks_something_is_refused_offline(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NoisewiseError, match="cannot be loaded"):
        load_recogniser(f"hf:{tmp_path}")
    for name in ("config.json", "vocab.json", "tokenizer_config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(NoisewiseError, match="cannot be loaded"):
        load_recogniser(f"hf:{tmp_path}")
    torch.save(tiny().state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(NoisewiseError, match="cannot be loaded"):
        load_recogniser(f"hf:{tmp_path}")


def test_an_encoder_without_a_head_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    values = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "architectures": ["Wav2Vec2Model"]}))
    with pytest.raises(NoisewiseError, match=r"speech recognition model of transformers.* but is Wav2Vec2Model"):
        load_recogniser(f"hf:{tmp_path}")
    transformers.Wav2Vec2Model(tiny().config).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(NoisewiseError, match="must have a trained head"):
        load_recogniser(f"hf:{tmp_path}")


FAMILIES = ("whisper", "moonshine", "speech_to_text", "parakeet CTC", "parakeet RNNT", "parakeet TDT")


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny random model of each family."""
    found = {}
    for name in FAMILIES:
        make, _, kind = name.partition(" ")
        found[name] = getattr(tiny_transformers, make)(tmp_path_factory.mktemp(make), *([kind] if kind else []))
    return found


def short() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, length).astype(np.float32) for length in (8000, 12_000, 9000)]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_recognised_and_company_changes_nothing(family: str, families: dict[str, Path]) -> None:
    named = load_recogniser(f"hf:{families[family]}?tokens=10", workers=2)
    found = list(named.recognise(short()))
    assert len(set(found)) > 1, "texts must depend on the sounds, or nothing is tested"
    assert found == [named.recognise([one])[0] for one in short()]
    assert json.loads(named.details["options"])["tokens"] == 10 and len(named.details["weights_sha256"]) == 64


@pytest.mark.parametrize("family", ["moonshine", "whisper"])
def test_greedy_decoding_is_the_best_token_after_each_other(family: str, families: dict[str, Path]) -> None:
    model = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(families[family]).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(families[family])
    waveform, tokens = short()[1], [1]
    with torch.no_grad():
        inputs = extractor(waveform, sampling_rate=16_000, return_tensors="pt")
        most = 5 if family == "moonshine" else 11
        while len(tokens) <= most and tokens[-1] != 2:
            tokens.append(int(model(**inputs, decoder_input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    expected = "".join(tiny_transformers.WORDS[each] for each in tokens if each > 2).replace("|", " ")
    found = load_recogniser(f"hf:{families[family]}?tokens=10").recognise([waveform])
    assert list(found) == [" ".join(expected.split())]


def test_a_beam_is_an_option(families: dict[str, Path]) -> None:
    one, several = (load_recogniser(f"hf:{families['whisper']}?beam={beam}").recognise(short()) for beam in (1, 4))
    assert list(one) != list(several)


def test_what_is_long_is_recognised_in_parts_that_end_at_pauses(families: dict[str, Path]) -> None:
    second, first = short()[:2]
    pause = np.zeros(8000, np.float32)
    named = load_recogniser(f"hf:{families['parakeet CTC']}?window=1.5")
    assert named.with_times is not None
    (found,) = named.with_times([np.concatenate([first, pause, second])])
    assert [each.start for each in found.segments] == [0.0, found.segments[0].end]
    assert 0.75 < found.segments[0].end < 1.25 and found.segments[1].end == pytest.approx(1.75)
    assert found.text == " ".join(each.text for each in found.segments)
    assert named.recognise([np.concatenate([first, pause, second])]) == [found.text]


def test_numbers_may_be_of_half_precision(families: dict[str, Path]) -> None:
    named = load_recogniser(f"hf:{families['parakeet CTC']}?quantisation=bfloat16")
    assert isinstance(named.recognise(short())[0], str)


def test_a_language_that_a_model_cannot_be_told_is_refused(families: dict[str, Path]) -> None:
    for family, language in (("whisper", "de"), ("moonshine", "en")):
        with pytest.raises(NoisewiseError, match="must be left out"):
            load_recogniser(f"hf:{families[family]}?language={language}")


def test_whisper_of_several_languages_is_told_one(
    families: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in families["whisper"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    settings.pop("_from_model_config")
    settings |= {"is_multilingual": True, "lang_to_id": {"<|en|>": 5, "<|de|>": 6}, "task_to_id": {"transcribe": 7}}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    asked: list[dict[str, Any]] = []

    def generate(self: Any, *_: Any, **options: Any) -> torch.Tensor:
        asked.append(options)
        return torch.tensor([[1, 5, 2]])

    monkeypatch.setattr(transformers.WhisperForConditionalGeneration, "generate", generate)
    assert load_recogniser(f"hf:{tmp_path}?language=de").recognise(short()[:1]) == ["A"]
    assert (asked[0]["language"], asked[0]["task"], asked[0]["do_sample"]) == ("de", "transcribe", False)
    with pytest.raises(NoisewiseError, match="must be one of de, en, but is 'fr'"):
        load_recogniser(f"hf:{tmp_path}?language=fr")


def test_a_request_is_written_by_the_processor_and_is_no_part_of_the_text() -> None:
    asked: list[dict[str, Any]] = []

    class Processor:
        def apply_transcription_request(self, audio: np.ndarray, language: str | None = None) -> dict[str, Any]:
            asked.append({"samples": len(audio), "language": language})
            return {"input_ids": torch.tensor([[3, 4]]), "values": torch.zeros(1, 8)}

    class Model:
        dtype = torch.bfloat16

        def generate(self, **options: Any) -> torch.Tensor:
            asked.append(options)
            return torch.tensor([[3, 4, 5, 6]])

    options = parsed("hf:x?language=en&prompt=left-out&tokens=9").options
    wrapped = huggingface._Model(Model(), Processor(), tiny_transformers.tokenizer(), "cpu", options)
    assert huggingface._decoder("sequence", wrapped, "hf:x")(np.zeros(80, np.float32)) == "AB"
    assert asked[0] == {"samples": 80, "language": "en"}
    assert asked[1]["max_new_tokens"] == 9 and asked[1]["values"].dtype == torch.bfloat16


def test_a_grid_through_the_command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", "corpus", "--model", f"hf:{folder}", "--noise", "noise", "--snr", "0", "--workers", "2"]
    assert cli.main([*words, "-o", "grid.json"]) == 0
    values = json.loads((tmp_path / "grid.json").read_text())
    assert values["system"] == "hf:tiny" and len(values["cells"]) == 2 and values["clean"]["failures"] == 0
    assert str(tmp_path) not in json.dumps(values) and str(folder) not in json.dumps(values)
