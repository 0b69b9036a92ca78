"""The options of decoding that several verbs share, and the configuration that they make."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisewise.decoding.config import DecodingConfig
    from noisewise.decoding.recording_decoder import Greedy
    from noisewise.decoding.whisper.config import WhisperSearchConfig

DECODINGS = ("greedy", "beam", "joint", "attention", "rescoring")
OF_LM = ("lm_unit", "lm_backend", "lm_weight", "bonus")
WHISPER_BEAM = 5
"""Hypotheses that the decoder of a Whisper keeps where a beam is asked for without a size."""
OF_RESCORING = {"rescore_weight": "weight", "rescore_bonus": "bonus", "rescore_nbest": "nbest"}


@dataclass(frozen=True)
class DecodingOptions:
    """Options of decoding that were given; None where one was not."""

    decoding: Annotated[
        str | None,
        typer.Option(
            help="greedy or beam, by CTC; of models with an attention decoder also joint, attention (alone) and "
            "rescoring (attention chooses among what CTC finds).",
            show_default="what the model's folder holds, else greedy",
        ),
    ] = None
    beam: Annotated[
        int | None,
        typer.Option(help="Hypotheses that the search keeps.", show_default="50; with attention 8; of a Whisper 1"),
    ] = None
    nbest: Annotated[
        int | None,
        typer.Option(
            help="Hypotheses for each recording, n-best; more than one are written as json.",
            show_default="1",
        ),
    ] = None
    ctc_weight: Annotated[
        float | None,
        typer.Option(help="Share of CTC beside attention, 0 to 1; means --decoding joint.", show_default="0.3"),
    ] = None
    length_bonus: Annotated[
        float | None, typer.Option(help="Length bonus for each token where attention takes part.", show_default="0")
    ] = None
    lm: Annotated[
        Path | None,
        typer.Option(
            help="Language model: ARPA, ARPA.gz or the folder of a Transformer; means --decoding beam if none is given."
        ),
    ] = None
    lm_unit: Annotated[
        str | None, typer.Option(help="What an ARPA file is over: words or characters.", show_default="words")
    ] = None
    lm_backend: Annotated[
        str | None,
        typer.Option(
            help="What reads --lm: noisewise, or the packages kenlm or flashlight, which also read KenLM binaries.",
            show_default="noisewise",
        ),
    ] = None
    lm_weight: Annotated[float | None, typer.Option(help="Weight of the language model.", show_default="0.5")] = None
    bonus: Annotated[float | None, typer.Option(help="Word insertion bonus.", show_default="1")] = None
    rescore: Annotated[
        Path | None,
        typer.Option(help="Second language model, like --lm: it rescores the n-best hypotheses of the search."),
    ] = None
    rescore_weight: Annotated[
        float | None, typer.Option(help="Weight of the second language model.", show_default="0.5")
    ] = None
    rescore_bonus: Annotated[
        float | None, typer.Option(help="Word insertion bonus of the second language model.", show_default="0")
    ] = None
    rescore_nbest: Annotated[
        int | None, typer.Option(help="N-best hypotheses that it rescores.", show_default="20")
    ] = None
    lexicon: Annotated[Path | None, typer.Option(help="Lexicon: file of the words that may be output, one a line.")] = (
        None
    )
    hotword: Annotated[
        list[str] | None,
        typer.Option(help="Word or phrase to favour, or WORD=BOOST per letter; several times."),
    ] = None

    def chosen(self, model: str) -> "DecodingConfig | Greedy | None":
        """The decoding that is asked for; None when nothing is.

        Options change what the model's folder holds, where it says something.

        Raises:
            NoisewiseError: options that contradict each other.
        """
        from noisewise.errors import NoisewiseError

        if self.decoding not in (None, *DECODINGS):
            raise NoisewiseError(f"--decoding must be {_either(DECODINGS)}, but is '{self.decoding}' instead")
        given = self._given()
        named = [f"--{name.replace('_', '-')}" for name in given]
        if self.decoding == "greedy":
            if named:
                raise NoisewiseError(
                    f"--decoding must be beam with {named[0]}, but is greedy instead; leave one of them out"
                )
            return "greedy"
        if not named and self.decoding is None:
            return None
        config = _changed(self._attending(default_of(model)), given)
        missing = [name for name, option in zip(given, named, strict=True) if name in OF_LM and config.lm is None]
        if missing:
            raise NoisewiseError(
                f"--{missing[-1].replace('_', '-')} must come with a language model, but there is none; give --lm FILE"
            )
        return config

    def _given(self) -> dict[str, Any]:
        """What there is, but hotwords and the decoding itself; the sizes of the search first."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        kept = {name: value for name, value in values.items() if value is not None}
        return {name: value for name, value in kept.items() if name not in ("decoding", "hotword")}

    def _attending(self, config: "DecodingConfig") -> "DecodingConfig":
        """With or without attention, as the decoding says and what is its own."""
        from noisewise.decoding.attention.joint import JointConfig
        from noisewise.errors import NoisewiseError

        if config.whisper is not None:
            return replace(config, whisper=self._of_whisper(config.whisper))
        own = {"ctc_weight": self.ctc_weight, "bonus": self.length_bonus}
        wanted: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
        if self.decoding == "beam":
            if wanted:
                raise NoisewiseError("--decoding must be joint or rescoring with --ctc-weight or --length-bonus")
            return replace(config, attention=None)
        if self.decoding == "attention":
            if self.ctc_weight:
                raise NoisewiseError(f"--ctc-weight must be 0 with attention alone, but is {self.ctc_weight} instead")
            wanted["ctc_weight"] = 0.0
        if self.decoding is not None:
            wanted["mode"] = "rescoring" if self.decoding == "rescoring" else "one_pass"
        if not wanted:
            return config
        return replace(config, rescoring=None, attention=replace(config.attention or JointConfig(), **wanted))

    def _of_whisper(self, config: "WhisperSearchConfig") -> "WhisperSearchConfig":
        """What is said of the search by the decoder of a Whisper; the sizes are left to `_changed`."""
        from noisewise.errors import NoisewiseError

        if self.decoding == "rescoring" or self.length_bonus is not None:
            option = "--decoding rescoring" if self.decoding == "rescoring" else "--length-bonus"
            raise NoisewiseError(
                f"{option} must be left out for a Whisper, whose decoder searches by itself, but is given; "
                "use --decoding beam, joint or attention"
            )
        if self.decoding == "attention" and self.ctc_weight:
            raise NoisewiseError(f"--ctc-weight must be 0 with attention alone, but is {self.ctc_weight} instead")
        weight = 0.0 if self.decoding == "attention" else self.ctc_weight
        wide = self.decoding is not None or weight is not None
        return replace(
            config,
            ctc_weight=config.ctc_weight if weight is None else weight,
            beam=max(WHISPER_BEAM, config.beam) if wide else config.beam,
        )

    def boosts(self) -> dict[str, float | None]:
        """Hotwords to their boosts; None for that of the configuration.

        Raises:
            NoisewiseError: a boost that is no number.
        """
        from noisewise.errors import NoisewiseError

        found: dict[str, float | None] = {}
        for text in self.hotword or []:
            word, equals, number = text.partition("=")
            try:
                found[word] = float(number) if equals else None
            except ValueError as error:
                raise NoisewiseError(f"--hotword must be WORD or WORD=BOOST, but is '{text}' instead") from error
        return found

    def words(self) -> list[str]:
        """The options that were given, as words of a command line."""
        found: list[str] = []
        for each in fields(self):
            value = getattr(self, each.name)
            for one in value if isinstance(value, list) else [value]:
                found += [] if one is None else [f"--{each.name.replace('_', '-')}={one}"]
        return found


def with_decoding(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of decoding, gathered in its parameter `options`."""
    signature = inspect.signature(command)
    shared = inspect.signature(DecodingOptions).parameters
    own = [each for each in signature.parameters.values() if each.name != "options"]

    def gathered(**given: Any) -> None:
        options = DecodingOptions(**{name: given.pop(name) for name in shared})
        command(**given, options=options)

    parameters = [*own, *shared.values()]
    gathered.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {each.name: each.annotation for each in parameters}
    gathered.__doc__ = command.__doc__
    return gathered


def _changed(config: "DecodingConfig", given: dict[str, Any]) -> "DecodingConfig":
    """A configuration with what was given; attention has had its own."""
    from noisewise.config import dump, parse
    from noisewise.decoding.config import DecodingConfig

    if "beam" in given and config.whisper is not None:
        several = min(config.whisper.nbest, given["beam"])
        config = replace(config, whisper=replace(config.whisper, beam=given["beam"], nbest=several))
    elif "beam" in given and config.attention is not None:
        config = replace(config, attention=replace(config.attention, beam=given["beam"]))
    elif "beam" in given:
        config = replace(config, search=replace(config.search, beam=given["beam"]))
    if "nbest" in given:
        config = config.most(given["nbest"])
    config = _rescored(config, given)
    files = {name: str(given[name]) for name in ("lm", "lexicon") if name in given}
    return parse(DecodingConfig, {**dump(config), **{name: given[name] for name in OF_LM if name in given}, **files})


def _rescored(config: "DecodingConfig", given: dict[str, Any]) -> "DecodingConfig":
    """A configuration whose second pass is as was given."""
    from noisewise.decoding.rescoring import RescoringConfig
    from noisewise.errors import NoisewiseError

    wanted: dict[str, Any] = {field: given[name] for name, field in OF_RESCORING.items() if name in given}
    if "rescore" in given:
        wanted["lm"] = str(given["rescore"])
    elif wanted and config.rescoring is None:
        option = next(name for name in OF_RESCORING if name in given).replace("_", "-")
        raise NoisewiseError(f"--{option} must come with a second language model, but there is none; give --rescore")
    if not wanted:
        return config
    rescoring = RescoringConfig(**wanted) if config.rescoring is None else replace(config.rescoring, **wanted)
    return replace(config, rescoring=rescoring)


def default_of(model: str) -> "DecodingConfig":
    """What the folder of a model says; what is no model will be refused when it is loaded."""
    from noisewise.checkpoints import model_folder
    from noisewise.decoding import saved_config as default
    from noisewise.decoding.attention.joint import JointConfig
    from noisewise.decoding.config import DecodingConfig
    from noisewise.decoding.whisper.config import WhisperSearchConfig
    from noisewise.errors import ModelError

    try:
        located = model_folder.locate(model)
    except ModelError:
        return DecodingConfig()
    found = default.read(located.path)
    if found is not None:
        return found
    kind = "whisper" if model_folder.is_whisper(located) else _kind(located.path)
    return DecodingConfig(
        attention=JointConfig() if kind == "encoder_decoder" else None,
        whisper=WhisperSearchConfig() if kind == "whisper" else None,
    )


def _kind(folder: Path) -> str:
    """The kind of a model, which says whether a decoder searches unless something else is said."""
    from noisewise.files import read_json

    try:
        return str(read_json(folder / "config.json")["model"]["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # of another project, or broken, which is said when it is loaded


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
