"""What routes share: languages, prompts, and clients that go away."""

import asyncio

import pytest

from noisewise.serving.api_error import ApiError
from noisewise.serving.limits import Limits
from noisewise.serving.models import ServedSystem
from noisewise.serving.service import ClientGone, Service, unless_gone
from tests.serving.conftest import Client


def test_languages(client: Client) -> None:
    service = client.service
    box, tiny = (service.models.recogniser(name) for name in ("box", "org/tiny"))
    assert service.check_languages(box, ()) == "en"
    assert service.check_languages(box, ("de", "EN-gb")) == "en"
    assert service.check_languages(tiny, ("de",)) == "de"  # it does not say what it knows
    with pytest.raises(ApiError, match="must be en for `box`") as found:
        service.check_languages(box, ("de",))
    assert found.value.param == "language"


def test_prompts_become_hotwords_where_that_is_wanted(client: Client) -> None:
    box = client.service.models.recogniser("box")
    words = (("Anna", 2.0),)
    assert client.service.hotwords(box, words, "x, y") == (words, ["prompt"])
    willing = Service(client.service.models, Limits(most_hotwords=3), prompt_boost=0.5)
    assert willing.hotwords(box, words, "bob, αβγ,, carl") == ((*words, ("BOB", 0.5), ("CARL", 0.5)), [])
    with pytest.raises(ApiError, match="3 words at most"):
        willing.hotwords(box, words, "b,c,d")


def test_a_system_of_others_passes_hotwords_over(client: Client) -> None:
    system = ServedSystem.__new__(ServedSystem)
    assert client.service.hotwords(system, (("a", None),), "b") == ((), ["keywords", "prompt"])


def test_work_is_given_up_when_the_client_goes() -> None:
    ended: list[str] = []

    async def work(seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "done"

    async def gone() -> None:
        await asyncio.sleep(0.05)

    assert asyncio.run(unless_gone(work(0.0), gone)) == "done"
    with pytest.raises(ClientGone):
        asyncio.run(unless_gone(work(30.0), gone))
    assert ended == ["cancelled"]
