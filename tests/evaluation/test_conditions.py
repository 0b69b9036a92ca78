"""Conditions by name, and the means over them."""

from noisewise.evaluation.conditions import (
    CLEAN,
    averaged,
    degradations,
    degraded_by,
    in_noise,
    in_order,
    noise_types,
    snrs_db,
)

SEVEN_AND_MORE = [in_noise(kind, snr) for kind in ("kitchen", "babble", "traffic") for snr in (5, 0)]
LEVELS = [degraded_by("loss", 20), degraded_by("clip", 6), degraded_by("loss", 5)]


def test_keys_and_units() -> None:
    assert [one.key for one in (CLEAN, in_noise("car", 2.5), degraded_by("clip", 12))] == [
        "clean",
        "car@2.5",
        "clip@12",
    ]
    assert [one.unit for one in (CLEAN, in_noise("car", 0), degraded_by("loss", 5))] == ["", "dB", "%"]
    assert in_noise("clip", 6) != degraded_by("clip", 6)


def test_order_of_types_is_that_of_the_paper() -> None:
    assert in_order(["street", "cafe", "traffic", "babble", "car", "kitchen", "metro"]) == [
        "traffic", "metro", "car", "babble", "cafe", "kitchen", "street",
    ]  # fmt: skip


def test_means_over_types_ratios_and_levels() -> None:
    found = {name: [one.key for one in group] for name, group in averaged([*SEVEN_AND_MORE, *LEVELS]).items()}
    assert found["all"] == ["babble@5", "babble@0", "traffic@5", "traffic@0"], "kitchen is none of the seven"
    assert found["type_b_above_0_db"] == ["babble@5"] and found["all@0"] == ["babble@0", "traffic@0"]
    assert found["kitchen"] == ["kitchen@5", "kitchen@0"] and found["loss"] == ["loss@20", "loss@5"]
    assert list(averaged(LEVELS)) == ["loss", "clip"], "levels of different units have no common mean"
    assert averaged([]) == {}


def test_names_and_values_of_a_grid() -> None:
    assert noise_types([CLEAN, *SEVEN_AND_MORE, *LEVELS]) == ["traffic", "babble", "kitchen"]
    assert snrs_db([CLEAN, *SEVEN_AND_MORE, *LEVELS]) == [0.0, 5.0]
    assert degradations([CLEAN, *SEVEN_AND_MORE, *LEVELS]) == ["loss", "clip"]
