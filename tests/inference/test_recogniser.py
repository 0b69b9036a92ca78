"""The recogniser on a small untrained model: what it says is babble, but it must be the same babble."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.checkpoints import model_folder
from noisewise.decoding import recording_decoder as recordings
from noisewise.decoding import saved_config as default
from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.fusion import hotwords
from noisewise.errors import AudioError, NoisewiseError
from noisewise.evaluation.systems.loading import load as load_recogniser
from noisewise.inference.recogniser import Recogniser, Source, Transcript, load
from noisewise.lm import kneser_ney
from noisewise.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from noisewise.models.encoder_decoder import tiny as tiny_decoder
from noisewise.models.logmel_transformer import tiny
from noisewise.text.tokenizer import CharacterTokenizer

RATE = 16_000


@pytest.fixture(scope="module")
def recogniser(model_dir: Path) -> Recogniser:
    return load(model_dir)


def sound(seconds: float, seed: int) -> NDArray[np.float32]:
    """Noise with a slow beat, so that frames differ. (T,)"""
    random = np.random.Generator(np.random.Philox(seed))
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * (200 + 150 * np.sin(2 * np.pi * 1.7 * time)) * time)
    beat = 0.5 + 0.5 * np.sin(2 * np.pi * 3.1 * time + seed)
    return np.asarray((0.3 * tone + 0.1 * random.standard_normal(len(time))) * beat, dtype=np.float32)


def spans(transcript: Transcript) -> list[tuple[str, float, float]]:
    """Words with their times; confidences differ in the seventh decimal between batches."""
    return [(word.text, round(word.start, 3), round(word.end, 3)) for word in transcript.words]


@pytest.fixture(scope="module")
def sounds() -> list[NDArray[np.float32]]:
    lengths = [0.7, 3.1, 1.9, 5.3, 0.4, 2.2, 2.21, 4.4, 1.1, 3.9, 0.9, 1.5, 2.7, 3.3, 0.55, 6.0]
    return [sound(seconds, seed) for seed, seconds in enumerate(lengths)]


def test_batch_size_never_changes_the_log_probabilities(
    recogniser: Recogniser, sounds: list[NDArray[np.float32]]
) -> None:
    alone = [recogniser.log_probs([each])[0] for each in sounds]
    for size in (4, 16):
        for at in range(0, len(sounds), size):
            together = recogniser.log_probs(sounds[at : at + size])
            for one, other in zip(alone[at : at + size], together, strict=True):
                assert one.shape == other.shape
                assert (one - other).abs().max() < 1e-4


def test_batch_seconds_never_change_a_transcript_and_order_is_kept(
    recogniser: Recogniser, sounds: list[NDArray[np.float32]]
) -> None:
    alone = [recogniser.transcribe(each) for each in sounds]
    assert len({each.text for each in alone}) > 8, "the babble must differ, or the test says nothing"
    for batch_seconds in (1.0, 12.0, 1000.0):
        together = recogniser.transcribe(sounds, batch_seconds=batch_seconds)
        assert [each.text for each in together] == [each.text for each in alone]
        assert [each.duration for each in together] == [len(each) / RATE for each in sounds]
        assert [each.source for each in together] == [f"waveform {n}" for n in range(1, 17)]


def test_a_batch_holds_no_more_than_asked(
    recogniser: Recogniser, sounds: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    original = recogniser.log_probs

    def counting(waveforms: list[NDArray[np.float32]]) -> list[torch.Tensor]:
        seen.append(max(map(len, waveforms)) * len(waveforms) / RATE)
        return original(waveforms)

    monkeypatch.setattr(recogniser, "log_probs", counting)
    recogniser.transcribe(sounds, batch_seconds=8.0)
    assert max(seen) <= 8.0
    assert len(seen) < len(sounds)


def test_files_arrays_and_rates_say_the_same(recogniser: Recogniser, tmp_path: Path) -> None:
    samples = np.round(sound(2.0, 5) * 32768) / 32768
    waveform.save(tmp_path / "a.flac", samples.astype(np.float32))
    from_file, from_array = recogniser.transcribe([tmp_path / "a.flac", samples])
    assert from_file.text == from_array.text
    assert from_file.source == str(tmp_path / "a.flac")
    single = recogniser.transcribe(str(tmp_path / "a.flac"))
    assert (single.text, single.duration) == (from_file.text, 2.0)


def test_long_audio_in_windows_equals_windows_put_through_by_hand(recogniser: Recogniser, tmp_path: Path) -> None:
    samples = np.concatenate([sound(4.0, seed) for seed in range(5)])
    waveform.save(tmp_path / "long.wav", samples, subtype="FLOAT")
    options = {"window_seconds": 6.0, "overlap_seconds": 2.0}
    whole = recogniser.transcribe(samples, window_seconds=60.0)
    cut = recogniser.transcribe(tmp_path / "long.wav", **options)
    batched = recogniser.transcribe(samples, batch_seconds=6.0, **options)
    assert cut.duration == whole.duration == pytest.approx(20.0)
    assert spans(cut) == spans(batched)
    first, last = (spans(each) for each in recogniser.transcribe([samples[: 6 * RATE], samples[-6 * RATE :]]))
    begun = [span for span in first if span[2] < 4.5]  # the first cut is between 4.5 and 5.5 s
    after = [(text, round(start + 14.0, 3), round(end + 14.0, 3)) for text, start, end in last if start > 2.0]
    ended = after[1:]  # the last cut may go through the one before
    assert begun
    assert spans(cut)[: len(begun)] == begun
    assert ended
    assert spans(cut)[-len(ended) :] == ended
    assert all(a.end <= b.start for a, b in pairwise(cut.words))


def test_bad_recordings_become_entries_and_the_rest_is_transcribed(recogniser: Recogniser, tmp_path: Path) -> None:
    good = sound(2.0, 1)
    waveform.save(tmp_path / "good.wav", good)
    waveform.save(tmp_path / "silent.wav", np.zeros(RATE, np.float32))
    (tmp_path / "letter.wav").write_text("not audio")
    broken = good.copy()
    broken[-1] = np.nan
    sources: list[Source] = [
        tmp_path / "missing.wav",
        tmp_path / "good.wav",
        tmp_path / "silent.wav",
        tmp_path / "letter.wav",
        broken,
        good[:800],
        np.zeros((2, 100)),
        np.zeros(0, np.float32),
        tmp_path,
        good,
    ]
    found = recogniser.transcribe(sources)
    errors = [each.error for each in found]
    assert errors[1] is None
    assert errors[9] is None
    assert found[9].text == recogniser.transcribe(good).text != ""
    words = [
        "no such file",
        None,
        "silent",
        "not",
        "NaN",
        "0.1 s or more",
        "float array",
        "0 samples",
        "folder",
        None,
    ]
    for error, word in zip(errors, words, strict=True):
        assert (word is None) == (error is None)
        assert word is None or word in str(error)


def test_a_fault_late_in_a_long_recording_is_an_error_and_nothing_of_it_is_shown(
    recogniser: Recogniser, tmp_path: Path
) -> None:
    samples = np.tile(sound(5.0, 2), 4)
    samples[-100] = np.nan
    import soundfile

    soundfile.write(tmp_path / "late.wav", samples, RATE, subtype="FLOAT")
    late, good = recogniser.transcribe([tmp_path / "late.wav", sound(3.0, 3)], window_seconds=4.0, batch_seconds=4.0)
    assert "NaN" in str(late.error)
    assert late.text == ""
    assert good.error is None


def test_recognise_gives_texts_or_says_what_is_wrong(recogniser: Recogniser, sounds: list[NDArray[np.float32]]) -> None:
    assert recogniser.recognise(sounds[:3]) == [each.text for each in recogniser.transcribe(sounds[:3])]
    with pytest.raises(AudioError, match=r"waveform 2.*silent"):
        recogniser.recognise([sounds[0], np.zeros(RATE, np.float32)])


def test_settings_that_cannot_be_met_are_named(recogniser: Recogniser, model_dir: Path) -> None:
    with pytest.raises(NoisewiseError, match="`batch_seconds` must be more than 0, but is 0"):
        recogniser.transcribe(sound(1, 1), batch_seconds=0)
    with pytest.raises(NoisewiseError, match="`overlap_seconds` must be 0 to 5"):
        recogniser.transcribe(sound(1, 1), window_seconds=10, overlap_seconds=6)
    with pytest.raises(NoisewiseError, match="`device` must be one that torch can use, but is 'gpuu'"):
        load(model_dir, device="gpuu")


def test_words_lie_inside_the_recording(recogniser: Recogniser) -> None:
    transcript = recogniser.transcribe(sound(3.0, 9))
    assert transcript.words
    assert " ".join(word.text for word in transcript.words) == transcript.text
    assert all(0 <= word.start < word.end <= 3.0 for word in transcript.words)
    assert all(0 < word.confidence <= 1 for word in transcript.words)


def test_a_star_has_no_part_in_the_confidence_of_the_whole(recogniser: Recogniser) -> None:
    (found,) = dict(recogniser.align([(sound(2.0, 1), "* YES")])).values()
    star, word = found.words
    assert star.confidence == 0 < word.confidence == found.confidence


def test_a_text_is_aligned_in_windows_as_in_one_piece_and_faults_are_entries(recogniser: Recogniser) -> None:
    samples = np.concatenate([sound(4.0, seed) for seed in range(3)])
    whole = recogniser.transcribe(samples, window_seconds=6.0)
    pairs: list[tuple[Source, str]] = [
        (samples, whole.text),
        (np.zeros(RATE, np.float32), "YES"),
        (sound(1.0, 1), "YES " * 20),
        (sound(1.0, 1), "1"),
        (sound(1.0, 1), "YES"),
    ]
    found = dict(recogniser.align(pairs, window_seconds=6.0))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert spans(found[0]) == spans(whole)
    assert found[0].duration == 12.0
    assert found[4].error is None
    for position, sentence in ((1, "silent"), (2, "need at least"), (3, "cannot be")):
        assert sentence in str(found[position].error)
        assert found[position].words == []


def test_a_model_says_how_much_wider_words_are_than_their_letters(recogniser: Recogniser) -> None:
    pairs: list[tuple[Source, str]] = [(sound(3.0, 2), "YES NO")]
    (tight,) = dict(recogniser.align(pairs)).values()
    wider = load(recogniser.folder)
    wider.lead_seconds, wider.trail_seconds = 0.001, 0.002
    (wide,) = dict(wider.align(pairs)).values()
    assert wide.words[0].start == pytest.approx(max(tight.words[0].start - 0.001, 0.0))
    assert tight.words[1].end <= wide.words[1].end <= tight.words[1].end + 0.0021
    assert wide.words != tight.words


@pytest.fixture(scope="module")
def searching(model_dir: Path, sounds: list[NDArray[np.float32]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with a language model of its own babble as its default."""
    folder = tmp_path_factory.mktemp("searching") / "tiny"
    shutil.copytree(model_dir, folder)
    texts = load(model_dir).recognise(sounds)
    kneser_ney.train([text.split() for text in texts], order=2).save(folder.parent / "babble.arpa.gz")
    words = DecodingConfig(search=BeamConfig(beam=6), lm=str(folder.parent / "babble.arpa.gz"), lm_weight=2.0)
    default.write(folder, words)
    (folder.parent / "babble.arpa.gz").unlink()  # the copy in the folder counts
    return folder


def test_the_default_decoding_of_a_folder_is_used_and_batches_never_change_it(
    searching: Path, sounds: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = load(searching)
    alone = [recogniser.transcribe(each) for each in sounds]
    plain = Recogniser.load(searching, decoding="greedy").recognise(sounds)
    assert [each.text for each in alone] != plain
    for batch_seconds, most in ((1000.0, recordings.MOST_FRAMES), (12.0, 150)):
        monkeypatch.setattr(recordings.batches_of, "__defaults__", (most,))
        together = recogniser.transcribe(sounds, batch_seconds=batch_seconds)
        assert [spans(each) for each in together] == [spans(each) for each in alone]


def test_windows_of_a_long_recording_continue_one_search(searching: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser = load(searching)
    samples = np.concatenate([sound(4.0, seed) for seed in range(4)])
    options = {"window_seconds": 6.0, "overlap_seconds": 2.0}
    whole = recogniser.transcribe(samples, **options)
    monkeypatch.setattr(recordings, "CHUNK", 37)
    pieces = recogniser.transcribe(samples, batch_seconds=6.0, **options)
    assert spans(pieces) == spans(whole)
    assert whole.words


def test_hotwords_hold_for_one_request_and_bad_recordings_stay_entries(
    recogniser: Recogniser, searching: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hotwords, "LIMIT", 1000.0)  # an untrained model says nothing that a bounded boost reaches
    samples = sound(3.0, 2)
    for each in (recogniser, load(searching)):
        before = each.transcribe(samples)
        found, silent = each.transcribe([samples, np.zeros(RATE, np.float32)], hotwords={"zq": 40.0})
        assert "ZQ" in found.text.split()
        assert "ZQ" not in before.text.split()
        assert "silent" in str(silent.error)
        assert each.transcribe(samples).text == before.text
    with pytest.raises(NoisewiseError, match="hotwords must be words"):
        recogniser.transcribe(samples, hotwords=["42"])


SEARCH = JointConfig(beam=3, ctc_weight=0.6)


@pytest.fixture(scope="module")
def encoder_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a small untrained encoder-decoder."""
    torch.manual_seed(3)
    config = EncoderDecoderConfig(encoder=tiny(), decoder=tiny_decoder())
    model = EncoderDecoder(config)
    with torch.no_grad():
        model.head.weight.mul_(8)
        model.head.bias[[0, 2]] += torch.tensor([2.0, 4.0])
    folder = tmp_path_factory.mktemp("models") / "encoder_decoder"
    model_folder.save(folder, model, config, CharacterTokenizer(), card="# For tests\n")
    default.write(folder, DecodingConfig(attention=SEARCH))
    return folder


def test_an_encoder_decoder_searches_jointly_unless_told_otherwise(
    encoder_decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hotwords, "LIMIT", 1000.0)
    sources = [sound(seconds, seed) for seed, seconds in enumerate([0.9, 2.1, 1.4])]
    recogniser = load(encoder_decoder)
    assert recogniser.decoding == DecodingConfig(attention=SEARCH)
    together = recogniser.transcribe([*sources, np.zeros(RATE, np.float32)])
    for each, source in zip(together[:3], sources, strict=True):
        assert each.text and each.text == " ".join(word.text for word in each.words)
        assert all(0 <= word.start < word.end <= len(source) / RATE + 0.05 for word in each.words)
        assert spans(recogniser.transcribe(source)) == spans(each)
    assert "silent" in str(together[3].error)
    plain = Recogniser.load(encoder_decoder, decoding="greedy")
    assert plain.decoding == "greedy"
    assert [each.text for each in plain.transcribe(sources)] != [each.text for each in together[:3]]
    assert "ZQ" in recogniser.transcribe(sources[1], hotwords={"zq": 40.0}).text.split()
    assert load_recogniser(str(encoder_decoder)).recognise(sources) == [each.text for each in together[:3]]


def test_an_encoder_decoder_hears_long_recordings_in_windows_and_pieces(encoder_decoder: Path) -> None:
    decoding = DecodingConfig(attention=JointConfig(beam=2, ctc_weight=0.6, piece_seconds=2.0))
    recogniser = Recogniser.load(encoder_decoder, decoding=decoding)
    samples = np.concatenate([sound(2.0, seed) for seed in range(4)])
    options = {"window_seconds": 4.0, "overlap_seconds": 1.0}
    one = recogniser.transcribe(samples, **options)
    other = recogniser.transcribe(samples, batch_seconds=4.0, **options)
    assert spans(one) == spans(other)
    assert [word.start for word in one.words] == sorted(word.start for word in one.words)
    assert one.words[-1].end > 5.0 and one.duration == 8.0


@pytest.mark.parametrize("mode", ["one_pass", "rescoring"])
@pytest.mark.parametrize("ctc_weight", [0.0, 0.4, 1.0])
def test_neighbours_do_not_change_what_attention_finds(
    encoder_decoder: Path, mode: Literal["one_pass", "rescoring"], ctc_weight: float
) -> None:
    config = JointConfig(mode=mode, beam=4, nbest=3, ctc_weight=ctc_weight, length_power=0.5)
    recogniser = Recogniser.load(encoder_decoder, decoding=DecodingConfig(attention=config))
    sources = [sound(seconds, seed) for seed, seconds in enumerate([1.3, 0.4, 2.2, 0.9, 1.7])]
    together = recogniser.transcribe(sources)
    for one, source in zip(together, sources, strict=True):
        alone = recogniser.transcribe(source)
        assert (one.text, spans(one)) == (alone.text, spans(alone))
        assert [each.text for each in one.alternatives] == [each.text for each in alone.alternatives]
        assert [each.score for each in one.alternatives] == pytest.approx(
            [each.score for each in alone.alternatives], abs=1e-3
        )
    assert any(each.alternatives for each in together)


def test_a_model_without_attention_refuses_it(model_dir: Path) -> None:
    with pytest.raises(NoisewiseError, match="`attention` must be left out"):
        Recogniser.load(model_dir, decoding=DecodingConfig(attention=JointConfig()))


def test_one_source_raises_and_several_are_kept_unless_asked(recogniser: Recogniser, tmp_path: Path) -> None:
    for bad in ("missing.wav", np.zeros(RATE, np.float32), b"", tmp_path):
        with pytest.raises(AudioError):
            recogniser.transcribe(bad)
        kept = recogniser.transcribe(bad, errors="keep")
        assert kept.error is not None and kept.has_failed and kept.text == ""
    with pytest.raises(AudioError, match="no such file"):
        recogniser.transcribe([sound(1, 1), "missing.wav"], errors="raise")
    with pytest.raises(NoisewiseError, match="`errors` must be raise or keep"):
        recogniser.transcribe("a.wav", errors="ignore")
    assert recogniser.transcribe([]) == []
    favoured = recogniser.transcribe(sound(3.0, 2), hotwords={"hhp": 3.0})
    assert load(recogniser.folder, hotwords={"hhp": 3.0}).transcribe(sound(3.0, 2)) == favoured


def test_a_recording_that_is_cut_off_is_transcribed_as_far_as_it_goes(recogniser: Recogniser, tmp_path: Path) -> None:
    samples = sound(3.0, 4)
    waveform.save(tmp_path / "a.wav", samples)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: 44 + 2 * 2 * RATE])
    with pytest.warns(UserWarning, match=r"cut\.wav"):
        found = recogniser.transcribe(tmp_path / "cut.wav")
    assert found.truncated and not found.has_failed and "cut.wav" in str(found.error)
    assert found.duration == 2.0 and found.text == recogniser.transcribe(samples[: 2 * RATE]).text
    with pytest.raises(AudioError, match=r"cut\.wav"):
        recogniser.transcribe(tmp_path / "cut.wav", strict=True)
    (aligned,) = dict(recogniser.align([(tmp_path / "cut.wav", "YES")])).values()
    assert aligned.truncated and [word.text for word in aligned.words] == ["YES"]


def test_channels_apart_are_those_of_the_file(recogniser: Recogniser, tmp_path: Path) -> None:
    import soundfile

    sides = [sound(2.0, seed) for seed in (1, 2)]
    soundfile.write(tmp_path / "call.wav", np.stack(sides, axis=1), RATE, subtype="FLOAT")
    found = recogniser.transcribe_channels(tmp_path / "call.wav")
    assert [each.channel for each in found] == [1, 2]
    assert [each.text for each in found] == [each.text for each in recogniser.transcribe(sides)]
    (second,) = recogniser.transcribe_channels(tmp_path / "call.wav", [2])
    assert (second.channel, second.text) == (2, found[1].text)
    with pytest.raises(AudioError, match="numbers from 1 to 2"):
        recogniser.transcribe_channels((tmp_path / "call.wav").read_bytes(), [3])
