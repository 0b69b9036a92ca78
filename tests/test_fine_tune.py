"""Fine-tuning: a short recipe is made whole, and a few steps on a small corpus lower the loss."""

from pathlib import Path

import pytest
import soundfile

from noisewise.checkpoints import convert, model_folder
from noisewise.data.manifests.read import read
from noisewise.errors import DataError
from noisewise.fine_tune import load_recipe, split
from noisewise.inference.recogniser import Recogniser
from noisewise.models.whisper.whisper import Whisper, WhisperConfig
from noisewise.run import train
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.training import log
from tests.corpus import WORDS, run_tiny, tones, write_corpus, write_whisper
from tests.models.whisper import small, tokens

RECIPE = Path(__file__).parent.parent / "recipes" / "fine_tune.yaml"
QUICK = ["train.workers=0", "train.batch_seconds=20", "run.accelerator=cpu", "run.threads=1"]


def corpus(folder: Path, texts: list[str], speakers: int) -> str:
    folder.mkdir()
    rows = ["path\ttext\tspeaker"]
    for index, text in enumerate(texts):
        soundfile.write(folder / f"u{index}.wav", tones("A" * len(text), index), 16_000)
        rows.append(f"u{index}.wav\t{text}\t{f's{index % speakers}' if speakers else ''}")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(folder)


def test_ten_utterances_lower_the_loss_of_a_small_model(tmp_path: Path, an4_dir: Path) -> None:
    mine = corpus(tmp_path / "mine", [*WORDS, "YES NO", "STOP"], 0)
    given = [f"train.manifests=[{mine}]", f"start_from={an4_dir}", *QUICK, "run.steps=6", "run.log_every=1"]
    recipe = load_recipe(RECIPE, given)
    assert recipe.model.encoder.layers == 8 and recipe.tokenizer.letters == "model" and recipe.optimizer.lr == 1e-4
    assert "#held_out!=" in recipe.train.manifests[0] and recipe.run.validate_every == 1
    metrics = train(recipe, tmp_path / "run")
    losses = [record["loss"] for record in log.read(tmp_path / "run", "train")]
    assert losses[-1] < losses[0] and set(metrics) == {"wer", "cer", "ctc"}
    assert (
        model_folder.load(tmp_path / "run" / "best").tokenizer.symbols == model_folder.load(an4_dir).tokenizer.symbols
    )
    assert load_recipe(RECIPE, given) == recipe


def test_letters_that_the_model_lacks_come_from_the_text(tmp_path: Path, an4_dir: Path) -> None:
    texts = ["привет", "мир", "да", "нет", "один два", "три", "пять", "шесть", "семь", "ёлка"]
    mine = corpus(tmp_path / "mine", texts, 5)
    recipe = load_recipe(RECIPE, [f"train.manifests=[{mine}]", f"start_from={an4_dir}", *QUICK, "run.steps=2"])
    assert (recipe.tokenizer.letters, recipe.model.vocabulary, recipe.optimizer.lr) == ("text", None, 3e-4)
    train(recipe, tmp_path / "run")
    letters = Recogniser.load(tmp_path / "run" / "best").tokenizer.symbols[3:]
    assert letters == sorted(letters) and set(letters) <= set("".join(texts).upper())


def whisper(folder: Path) -> str:
    """A Whisper of the smallest size with the letters of English."""
    model, letters = small.ours(vocabulary=30), CharacterTokenizer()
    return str(model_folder.save(folder, model, model.config, letters, card="", pieces=tokens.tokenizer()))


def test_a_whisper_stays_one_where_it_has_the_letters_and_lends_its_encoder_where_not(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    start = f"start_from={whisper(tmp_path / 'whisper')}"
    english = corpus(tmp_path / "english", [*WORDS, "YES NO", "STOP"], 0)
    recipe = load_recipe(RECIPE, [f"train.manifests=[{english}]", start, *QUICK, "run.steps=2"])
    assert (recipe.model.kind, recipe.task.kind, recipe.optimizer.lr) == ("whisper", "whisper", 5e-5)
    assert recipe.train.max_seconds == recipe.validation.max_seconds == 29
    train(recipe, tmp_path / "first")
    assert isinstance(model_folder.load(tmp_path / "first" / "best").model, Whisper)
    russian = corpus(tmp_path / "russian", ["привет", "мир", "да", "нет", "один два", "три", "пять", "шесть"], 0)
    recipe = load_recipe(RECIPE, [f"train.manifests=[{russian}]", start, *QUICK, "run.steps=2"])
    assert (recipe.model.kind, recipe.task.kind, recipe.model.encoder.kind) == ("ctc", "ctc", "whisper")
    train(recipe, tmp_path / "second")
    assert "П" in Recogniser.load(tmp_path / "second" / "best").tokenizer.symbols


@pytest.mark.parametrize(("speakers", "by_entry"), [(0, False), (1, True), (5, False), (10, False)])
def test_a_part_is_held_out_by_speaker_where_there_are_some(tmp_path: Path, speakers: int, by_entry: bool) -> None:
    mine = corpus(tmp_path / "mine", ["NO"] * 20, speakers)
    share = split({mine: read(mine)})
    held, kept = read(f"{mine}#held_out={share}"), read(f"{mine}#held_out!={share}")
    assert len(held) + len(kept) == 20 and share.endswith(":entry") == by_entry
    if speakers > 1:
        assert not {cut.speaker for cut in held} & {cut.speaker for cut in kept}


def test_one_recording_is_too_few(tmp_path: Path) -> None:
    mine = corpus(tmp_path / "mine", ["NO"], 1)
    with pytest.raises(DataError, match="hold some out"):
        load_recipe(RECIPE, [f"train.manifests=[{mine}]"])


def test_what_is_given_wins(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    mine = tmp_path / "corpus"
    given = [f"validation.manifests=[{mine}]", "schedule.kind=cosine", "optimizer.lr=1e-5", "tokenizer.letters=text"]
    recipe = load_recipe(RECIPE, [f"train.manifests=[{mine}]", *given])
    assert recipe.train.manifests == [str(mine)] == recipe.validation.manifests
    assert (recipe.schedule.kind, recipe.optimizer.lr, recipe.tokenizer.letters) == ("cosine", 1e-5, "text")
    assert recipe.run.steps == 300


ONE_STEP = [*QUICK, "run.steps=1", "run.log_every=1"]


def test_a_checkpoint_of_transformers_gets_a_head_for_the_letters_of_the_text(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    public = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**shape, **positions, conv_dim=[32] * 7))
    public.save_pretrained(tmp_path / "public")
    mine = corpus(tmp_path / "mine", [*WORDS, "YES NO", "STOP"], 5)
    recipe = load_recipe(RECIPE, [f"train.manifests=[{mine}]", f"start_from={tmp_path}/public", *ONE_STEP])
    assert (recipe.model.kind, recipe.model.encoder.dim, recipe.task.kind) == ("ctc", 32, "ctc")
    assert (recipe.tokenizer.letters, recipe.optimizer.lr) == ("english", 3e-4)
    train(recipe, tmp_path / "run")
    loaded = model_folder.load(tmp_path / "run" / "best")
    kept = loaded.model.encoder.state_dict()
    name = "transformer.layers.0.feed_forward.inner.weight"
    wanted = public.encoder.layers[0].feed_forward.intermediate_dense.weight
    assert (kept[name] - wanted).abs().max() < 1e-3 and len(loaded.tokenizer) == 30


def test_a_model_of_subwords_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tokenizers")
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    subwords = ["tokenizer.kind=bpe", "tokenizer.size=36", "tokenizer.least=1", "model.vocabulary=36"]
    before = run_tiny("ctc", [*subwords, "run.steps=1", "run.validate_every=1"]) / "best"
    mine = corpus(tmp_path / "mine", [*WORDS, "YES NO", "STOP"], 5)
    recipe = load_recipe(RECIPE, [f"train.manifests=[{mine}]", f"start_from={before}", *ONE_STEP])
    assert (recipe.tokenizer.kind, recipe.tokenizer.size, recipe.optimizer.lr) == ("bpe", 36, 1e-4)
    train(recipe, tmp_path / "run")
    assert model_folder.load("run/best").tokenizer.symbols == model_folder.load(before).tokenizer.symbols
    assert (tmp_path / "run" / "best" / "tokens.json").is_file()


def test_a_whisper_keeps_its_decoder_and_gets_a_head_once(tmp_path: Path) -> None:
    public, bare = tmp_path / "whisper", tmp_path / "bare"
    write_whisper(public)
    convert.write(convert.read(public), bare, "noisewise")
    mine = corpus(tmp_path / "mine", ["No.", "Go home!", "Yes", "Stop", "Help", "Two", "Six", "Erase"], 4)
    for begun, folder in ((public, "one"), (bare, "other"), (tmp_path / "one" / "best", "on")):
        recipe = load_recipe(RECIPE, [f"train.manifests=[{mine}]", f"start_from={begun}", *ONE_STEP, "run.steps=2"])
        assert isinstance(recipe.model, WhisperConfig) and recipe.task.kind == "whisper" and recipe.optimizer.lr == 5e-5
        assert (recipe.model.encoder.dim, recipe.model.pad_seconds) == (16, 0.0)
        assert recipe.tokenizer.letters == ("model" if folder == "on" else "english")
        train(recipe, tmp_path / folder)
    decoders, heads = [], []
    for name in (public, "one/best", "other/best", "on/best"):
        loaded = model_folder.load(tmp_path / name)
        assert isinstance(loaded.model, Whisper) and loaded.pieces is not None
        decoders.append(loaded.model.decoder.embedding.weight)
        heads += [loaded.model.head.weight] if loaded.model.has_head else []
    assert len(heads) == 3 and (heads[2] - heads[0]).abs().max() < 2e-3
    assert all(0 < (each - decoders[0]).abs().max() < 1e-3 for each in decoders[1:])
    assert Recogniser.load(tmp_path / "on" / "best").transcribe(tones("GO", 0)).error is None
    russian = corpus(tmp_path / "russian", ["привет", "мир", "да", "нет", "три", "пять", "шесть"], 0)
    recipe = load_recipe(RECIPE, [f"train.manifests=[{russian}]", f"start_from={public}", *ONE_STEP])
    assert (recipe.model.kind, recipe.model.encoder.dim, recipe.tokenizer.letters) == ("ctc", 16, "text")
