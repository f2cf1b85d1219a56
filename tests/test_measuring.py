"""measuring: one order for all figures, silence and oddities noted, stereo, 2, 3 and 5 sources."""

import importlib.util
import itertools
import math

import pytest
import torch

from sep_helpers import metrics
from sep_helpers.measuring import Asked, measure, told
from sep_helpers.metrics import CEILING_DB, FLOOR_DB, MetricError


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def case(n: int = 2, length: int = 3000, db: float = -20.0):
    """Estimates (with noise of that level), sources, mixture."""
    sources = 0.1 * noise(n, length)
    return sources + 0.1 * 10 ** (db / 20) * noise(n, length, seed=1), sources, sources.sum(0)


def column(rows: list[dict], name: str) -> list[float]:
    return [row[name] for row in rows]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_figures_are_those_of_metrics_in_whatever_order_the_estimates_come(n):
    estimates, sources, mixture = case(n)
    expected = {"si_sdr": metrics.si_sdr(estimates, sources),
                "si_sdri": metrics.si_sdr_improvement(estimates, sources, mixture),
                "snr": metrics.snr(estimates, sources), "sdr": metrics.sdr(estimates, sources),
                "sdri": metrics.sdr_improvement(estimates, sources, mixture)}
    bss = metrics.bss_eval(estimates, sources)
    expected |= {name: bss[name] for name in ("sir", "sar")}
    for order in itertools.islice(itertools.permutations(range(n)), 0, None, max(1, n * (n - 2))):
        rows = measure(estimates[list(order)], sources, mixture, Asked())
        assert set(rows[0]) == {*expected, "note"} and len(rows) == n
        for name, values in expected.items():
            assert column(rows, name) == pytest.approx(values.tolist(), abs=1e-6), name
        assert column(rows, "note") == [""] * n


def test_one_order_for_all_figures_even_where_sdr_would_like_another():
    """Delays of a source are nothing to SDR and everything to SI-SDR."""
    _, sources, mixture = case(2)
    late = sources.roll(40, -1)
    estimates = torch.stack([sources[1] + 3 * late[0], sources[0] + 3 * late[1]])
    rows = measure(estimates, sources, mixture, Asked())
    assert all(row["si_sdr"] > -15 and row["sdr"] < 0 for row in rows)
    crossed = metrics.pairwise_bss_eval(estimates, sources)["sdr"]
    assert column(rows, "sdr") == pytest.approx([crossed[1, 0], crossed[0, 1]])
    assert (crossed.diagonal() > column(rows, "sdr")).all()


def test_slots_that_mean_something_keep_their_order_and_a_better_one_is_noted():
    estimates, sources, mixture = case(3)
    rows = measure(estimates[[2, 0, 1]], sources, mixture, Asked(bss=False, permute=False))
    assert all(row["si_sdr"] < 0 for row in rows)
    assert all("the order [1, 2, 0] would be" in row["note"] for row in rows)
    rows = measure(estimates, sources, mixture, Asked(bss=False, permute=False))
    assert column(rows, "note") == [""] * 3 and min(column(rows, "si_sdr")) > 15


def test_a_silent_source_has_no_figure_and_the_others_have_theirs():
    estimates, sources, _ = case(3)
    sources[1] = 0
    estimates[1] = 0.01 * noise(3000, seed=4)
    mixture = sources.sum(0)
    for order in ([0, 1, 2], [1, 2, 0]):
        rows = measure(estimates[order], sources, mixture, Asked())
        assert all(math.isnan(rows[1][name]) for name in Asked().columns())
        assert rows[1]["note"].startswith("silent source: no figure; its estimate is -23 dB of the")
        both = [0, 2]
        expected = metrics.bss_eval(estimates[both], sources[both])
        for name in ("sdr", "sir", "sar"):
            assert [rows[i][name] for i in both] == pytest.approx(expected[name])
    estimates[1] = 0
    assert "its estimate is silent, too" in measure(estimates, sources, mixture, Asked())[1]["note"]


def test_where_one_source_is_all_there_is_there_is_nothing_to_improve():
    estimates, sources, _ = case(2)
    sources[1] = 0
    rows = measure(estimates, sources, sources.sum(0), Asked())
    assert rows[0]["si_sdr"] > 15 and math.isnan(rows[0]["si_sdri"]) and math.isnan(rows[0]["sdri"])
    assert "nothing else sounds in the mixture" in rows[0]["note"]
    with pytest.raises(MetricError, match="every source is silent"):
        measure(estimates, 0 * sources, sources.sum(0), Asked())


def test_oddities_are_noted_and_counted_as_they_are():
    estimates, sources, mixture = case(2)
    rows = measure(torch.stack([0 * mixture, estimates[1]]), sources, mixture, Asked())
    assert rows[0]["note"] == "silent estimate: -60 dB"
    assert all(rows[0][name] == FLOOR_DB for name in ("si_sdr", "snr", "sdr", "sir", "sar"))
    rows = measure(torch.stack([sources[0], estimates[1]]), sources, mixture, Asked())
    assert rows[0]["note"] == "perfect estimate: counted as 100 dB"
    assert all(rows[0][name] == CEILING_DB for name in ("si_sdr", "snr", "sdr", "sir", "sar"))
    rows = measure(torch.stack([0.3 * mixture, estimates[1]]), sources, mixture, Asked())
    assert column(rows, "note") == ["the estimate is the mixture itself", ""]
    assert rows[0]["si_sdri"] == pytest.approx(0, abs=1e-6)
    rows = measure(mixture.expand(2, -1), sources, mixture, Asked())    # the floor: no oddity
    assert column(rows, "note") == ["", ""]


def test_what_needs_an_explanation_is_told_in_one_line():
    estimates, sources, mixture = case(3)
    sources[1], estimates[1] = 0, 0
    rows = measure(estimates, sources, sources.sum(0), Asked(bss=False))
    sources[1] = noise(3000, seed=8)
    rows += measure(estimates, sources, sources.sum(0), Asked(bss=False))
    assert told("net", rows) == ("net, 6 sources: 1 x silent source; 1 x silent estimate: see the "
                                 "column `note`")
    estimates, sources, mixture = case(2)
    assert told("net", measure(estimates, sources, mixture, Asked(bss=False))) == ""
    swapped = measure(estimates.flip(0), sources, mixture, Asked(bss=False, permute=False))
    assert "2 x another order fits better" in told("net", swapped)
    copied = measure(torch.stack([mixture, estimates[1]]), sources, mixture, Asked(bss=False))
    assert "1 x the estimate is the mixture itself" in told("net", copied)


def test_stereo_takes_channels_together():
    sources = 0.1 * noise(3, 2, 3000)
    sources[:, 1] *= 0.1                                     # the right channel is soft
    estimates = sources + 0.01 * noise(3, 2, 3000, seed=1)
    mixture = sources.sum(0)
    rows = measure(estimates[[2, 0, 1]], sources, mixture, Asked())
    e, s = metrics.join_channels(estimates), metrics.join_channels(sources)
    assert column(rows, "si_sdr") == pytest.approx(metrics.si_sdr(e, s).tolist())
    assert column(rows, "snr") == pytest.approx(metrics.snr(e, s).tolist())
    bss = metrics.bss_eval(estimates, sources)
    for name in ("sdr", "sir", "sar"):
        assert column(rows, name) == pytest.approx(bss[name].tolist())
    left = metrics.si_sdr(estimates[:, 0], sources[:, 0])    # it is louder: it decides
    assert all(12 < figure < high for figure, high in zip(column(rows, "si_sdr"), left,
                                                          strict=True))


@pytest.mark.skipif(importlib.util.find_spec("pystoi") is None, reason="pystoi is not installed")
def test_perceptual_figures_and_what_cannot_be_judged():
    estimates, sources, mixture = case(2, 8000)
    asked = Asked(bss=False, perceptual=("stoi",), rate=8000)
    rows = measure(estimates.flip(0), sources, mixture, asked)
    assert all(0.8 < row["stoi"] <= 1 and not row["note"] for row in rows)
    stereo = measure(*(x.unsqueeze(-2).expand(*x.shape[:-1], 2, 8000)
                       for x in (estimates, sources, mixture)), asked)
    assert column(stereo, "stoi") == pytest.approx(column(rows, "stoi"), abs=1e-6)
    rows = measure(estimates[:, :2000], sources[:, :2000], mixture[:2000], asked)
    assert all(math.isnan(row["stoi"]) and "stoi: less than 0.4 s" in row["note"] for row in rows)
    assert all(row["si_sdr"] > 15 for row in rows)


@pytest.mark.parametrize("spoil, message", [
    (lambda e, s, x: (e[:, :-1], s, x), "differ in shape: give as many, of the same length"),
    (lambda e, s, x: (e[:1], s, x), "differ in shape"),
    (lambda e, s, x: (e / 0, s, x), "the estimates .* hold NaN or infinity"),
    (lambda e, s, x: (e, s, x / 0), "the mixture holds NaN"),
    (lambda e, s, x: (e, s, x[:-1]), "does not belong to sources"),
])
def test_bad_input_is_refused_in_one_line(spoil, message):
    with pytest.raises(MetricError, match=message) as error:
        measure(*spoil(*case()), Asked())
    assert "\n" not in str(error.value)
