"""evaluation: levels that can be heard, tables that miss nothing, intervals that hold."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn

from sep_helpers import evaluation, metrics, models
from sep_helpers.evaluation import (
    EvaluationError,
    evaluate,
    match_level,
    mixture_system,
    oracle_system,
    random_mask_system,
    separate,
    summary,
)
from sep_helpers.losses import si_snr, snr


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def item(index: int, n: int = 2, length: int = 4000) -> dict:
    """One mixture of noises that sound one after the other, so that masks can part them."""
    sources = 0.05 * noise(n, length, seed=index)
    for i, part in enumerate(torch.arange(length).chunk(n)):
        quiet = torch.full((length,), 0.1)
        quiet[part] = 1.0 + 0.3 * index
        sources[i] *= quiet
    cuts = [SimpleNamespace(category=f"voice{i}") for i in range(n)]
    return {"id": f"mix_{index}", "mixture": sources.sum(0), "sources": sources, "cuts": cuts}


class Peeking(nn.Module):
    """A separator that knows the answer of one item; each estimate times a gain, plus noise."""

    def __init__(self, items, gains=(1.0, 1.0), swap=False, noise_db=-20.0):
        super().__init__()
        self.config, self.sample_rate, self.n_sources, self.causal = {"name": "p"}, 8000, 2, False
        self.items, self.swap, self.noise_db = items, swap, noise_db
        self.gains = nn.Parameter(torch.tensor(gains)[:, None])
        self.inner, self.frozen = nn.Dropout(), nn.BatchNorm1d(2).eval()

    def forward(self, mixture):
        assert not self.training and not self.inner.training and torch.is_inference_mode_enabled()
        sources = next(i["sources"] for i in self.items if torch.equal(i["mixture"], mixture[0]))
        hiss = sources.std() * 10 ** (self.noise_db / 20) * noise(*sources.shape, seed=5)
        estimates = self.gains * (sources + hiss)
        return estimates.flip(0)[None] if self.swap else estimates[None]


# --- separate


@pytest.mark.parametrize("gains", [(1.0, 1.0), (1000.0, 0.01), (-1.0, 1.0), (-1e-4, 1e4)])
def test_scale_and_sign_are_restored(gains):
    it = item(0)
    estimates = separate(Peeking([it], gains), it["mixture"])
    assert estimates.shape == it["sources"].shape and estimates.dtype == torch.float32
    assert (snr(estimates, it["sources"]) > 15).all()
    assert snr(estimates.sum(0), it["mixture"]) > 15
    assert not estimates.is_inference() and not estimates.requires_grad


def test_gains_are_the_least_squares_ones():
    mixture, estimates = noise(500), noise(3, 500, seed=1) * torch.tensor([[1e3], [1.0], [1e-3]])
    rest = mixture - match_level(estimates, mixture).sum(0)
    assert (rest @ estimates.T / estimates.norm(dim=-1)).abs().max() < 1e-4     # orthogonal


def test_silent_estimates_stay_silent_and_equal_ones_share():
    mixture = noise(500)
    assert torch.equal(match_level(torch.zeros(2, 500), mixture), torch.zeros(2, 500))
    one = match_level(torch.stack([torch.zeros(500), 7 * mixture]), mixture)
    assert one[0].abs().max() == 0 and torch.allclose(one[1], mixture, atol=1e-6)
    twins = torch.stack([mixture, mixture + 1e-4 * noise(500, seed=2)])
    assert torch.allclose(match_level(twins, mixture), mixture.expand(2, -1) / 2, atol=1e-3)


def test_every_module_gets_its_own_mode_back_even_after_an_error():
    it = item(0)
    model = Peeking([it]).train()
    model.frozen.eval()
    separate(model, it["mixture"])
    assert model.training and model.inner.training and not model.frozen.training
    with pytest.raises(StopIteration):
        separate(model, it["mixture"] + 1)
    assert model.training and model.inner.training and not model.frozen.training


def test_a_separator_that_breaks_its_contract_is_refused():
    class Short(nn.Module):
        def forward(self, x):
            return x[:, None, :-5]
    with pytest.raises(EvaluationError, match=r"Short made \(1, 1, 95\) of \(1, 100\)"):
        separate(Short(), noise(100))
    with pytest.raises(metrics.MetricError, match="NaN or infinity"):
        separate(nn.Sequential(nn.Unflatten(0, (1, 1)), nn.Threshold(1e9, math.nan)), noise(100))


# --- evaluate


ITEMS = [item(i) for i in range(4)]
SHORT = item(0, length=300)


def test_one_row_a_source_with_the_figures_of_metrics():
    table = evaluate(Peeking(ITEMS), ITEMS, "peeking", view_name="tiny")
    assert list(table.columns) == ["system", "view", "mixture_id", "source", "speaker", "si_sdr",
                                   "si_sdri", "snr", "sdr", "sdri", "sir", "sar", "seconds",
                                   "note", "unmeasured", "error"]
    assert len(table) == 8
    assert table["mixture_id"].tolist() == [f"mix_{i}" for i in range(4) for _ in range(2)]
    assert table["source"].tolist() == [0, 1] * 4
    assert table["speaker"].tolist() == ["voice0", "voice1"] * 4
    assert set(table["system"]) == {"peeking"} and set(table["view"]) == {"tiny"}
    assert (table["error"] == "").all() and (table["seconds"] > 0).all()
    estimates = separate(Peeking(ITEMS), ITEMS[2]["mixture"])
    expected = si_snr(estimates, ITEMS[2]["sources"])
    assert table.query("mixture_id == 'mix_2'")["si_sdr"].tolist() == pytest.approx(
        expected.tolist(), abs=1e-3)
    before = si_snr(ITEMS[2]["mixture"], ITEMS[2]["sources"])
    assert table.query("mixture_id == 'mix_2'")["si_sdri"].tolist() == pytest.approx(
        (expected - before).tolist(), abs=1e-3)


def test_the_order_of_the_estimates_does_not_matter():
    a = evaluate(Peeking(ITEMS), ITEMS, "a", bss=False)
    b = evaluate(Peeking(ITEMS, swap=True), ITEMS, "a", bss=False)
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_permutation_of_three_sources_is_applied_not_inverted(shift):
    it = item(0, n=3)
    table = evaluate(lambda mixture, sources: sources.roll(shift, 0) + 0.001 * noise(3, 4000), [it],
                     "rolled")
    assert (table["si_sdr"] > 10).all()


def test_floors_and_ceilings():
    means = {name: evaluate(system, ITEMS, name)[["si_sdri", "sdri"]].mean()
             for name, system in {"mixture": mixture_system(), "random": random_mask_system(1),
                                  "irm": oracle_system("irm"), "cirm": oracle_system("cirm")
                                  }.items()}
    assert means["mixture"].si_sdri == 0
    assert abs(means["mixture"].sdri) < 1e-12        # BSS-eval's rounding: threads share its sums
    assert (means["random"].abs() < 2).all()
    assert (means["irm"] > 3).all() and (means["cirm"] > 60).all()


def test_a_silent_estimate_is_a_bad_answer_not_a_missing_one():
    table = evaluate(lambda mixture, sources: torch.stack([mixture, 0 * mixture]), ITEMS, "half")
    assert (table.groupby("mixture_id")["si_sdr"].min() == metrics.FLOOR_DB).all()
    assert summary(table)["failed"].item() == 0


class Broken(list):
    """A view of which item 1 cannot be read and item 2 has NaN in its mixture."""

    mixtures = [[SimpleNamespace(mixture_id=i["id"])] for i in ITEMS]

    def __getitem__(self, index):
        if index == 1:
            raise ValueError("a.flac is truncated: fetch it again")
        if index == 2:
            return ITEMS[2] | {"mixture": ITEMS[2]["mixture"] / 0}
        return super().__getitem__(index)


def test_failed_mixtures_are_named_counted_and_kept_apart(capsys):
    table = evaluate(mixture_system(), Broken(ITEMS), "mixture")
    said = capsys.readouterr().out
    assert said == ("mixture: 2 of 4 mixtures could not be measured: mix_1: a.flac is truncated: "
                    "fetch it again; mix_2: the mixture holds NaN or infinity: make it again\n")
    failed = table[table["error"] != ""]
    assert failed["mixture_id"].tolist() == ["mix_1", "mix_2"]
    assert failed["si_sdr"].isna().all() and (failed["source"] == -1).all()
    row = summary(table).iloc[0]
    assert (row["n"], row["failed"], row["mean"]) == (2, 2, 0.0)


def test_one_bad_file_in_the_middle_of_500_costs_one_mixture(capsys):
    """Nothing of the other 499 is lost, and of many failures five are named in print."""
    class Many(list):
        mixtures = [[SimpleNamespace(mixture_id=f"mix_{i}")] for i in range(500)]
        broken = {250}

        def __len__(self):
            return 500

        def __getitem__(self, index):
            if index in self.broken:
                raise OSError(f"file {index} cannot be read")
            return SHORT | {"id": f"mix_{index}"}

    table = evaluate(mixture_system(), Many(), "m", bss=False)
    assert "1 of 500 mixtures could not be measured: mix_250: file 250" in capsys.readouterr().out
    assert table["mixture_id"].nunique() == 500
    assert table["si_sdr"].notna().sum() == 2 * 499
    row = summary(table).iloc[0]
    assert (row["n"], row["failed"]) == (499, 1)
    Many.broken = set(range(3, 12))
    evaluate(mixture_system(), Many(), "m", bss=False)
    said = capsys.readouterr().out
    assert "9 of 500" in said and "mix_7" in said and "mix_8" not in said and "and 4 more" in said


def test_an_evaluation_without_any_figure_is_an_error():
    with pytest.raises(EvaluationError, match="1 of 1 mixtures could not be measured: mix_0"):
        evaluate(mixture_system(), [ITEMS[0] | {"sources": torch.zeros(2, 4000)}], "m")
    with pytest.raises(EvaluationError, match="m: 0 of 0 .* the view is empty"):
        evaluate(mixture_system(), [], "m")


def test_a_system_for_another_task_stops_at_once():
    calls = []
    def three(mixture, sources):
        calls.append(1)
        return mixture.expand(3, -1)
    with pytest.raises(EvaluationError, match=r"mix_0: the system gave \(3, 4000\) .* \(2, 4000\)"):
        evaluate(three, ITEMS, "three")
    assert len(calls) == 1
    view = Broken(ITEMS)
    view.corpus = SimpleNamespace(sample_rate=16000)
    with pytest.raises(EvaluationError, match="at 8000 Hz on a view of 16000 Hz: .*=8000"):
        evaluate(Peeking(ITEMS), view, "rate")


def test_progress_is_for_long_work_only(capsys):
    evaluate(mixture_system(), ITEMS, "quick", bss=False)
    said = capsys.readouterr()
    assert said.out == "" and said.err == ""


@pytest.mark.parametrize("mixture, message", [
    (torch.zeros(2, 100), r"the mixture is \(2, 100\) of torch.float32: give one waveform"),
    (torch.zeros(0), "give one waveform"),
    (torch.zeros(100, dtype=torch.int16), "of torch.int16"),
    (torch.full((100,), float("nan")), "NaN or infinite samples"),
])
def test_what_is_no_waveform_is_not_separated(mixture, message):
    tiny = models.build(models.complete({"name": "conv_tasnet", "N": 8, "L": 8, "B": 4, "H": 4,
                                         "Sc": 4, "X": 1, "R": 1}))
    with pytest.raises(evaluation.EvaluationError, match=message):
        evaluation.separate(tiny, mixture)
    assert evaluation.separate(tiny, torch.randn(100, dtype=torch.float64)).dtype == torch.float32


# --- everything at once


class View(list):
    """Items of a corpus that knows its rate."""

    corpus = SimpleNamespace(sample_rate=8000)


def test_all_systems_on_all_views_in_one_table(capsys):
    table = evaluation.evaluate_all(evaluation.floors_and_ceilings(), {"a": View(ITEMS[:2]),
                                                                       "b": View(ITEMS[2:])})
    assert table.groupby(["system", "view"], sort=False).ngroups == 2 * len(
        evaluation.FLOORS + evaluation.CEILINGS)
    assert table["system"].unique().tolist() == [*evaluation.FLOORS, *evaluation.CEILINGS]
    assert "could not be measured" not in capsys.readouterr().out
    shown = evaluation.overview(table)
    assert (shown["n"] == 2).all() and (shown["failed"] == 0).all()
    assert shown.loc[("mixture", "a"), "si_sdri"] == "0.0 (0.0 to 0.0)"


def test_figures_that_cannot_be_measured_are_said_once_and_stay_in_the_table(capsys):
    table = evaluation.evaluate_all({"mixture": mixture_system(), "irm": oracle_system("irm")},
                                    {"test": View(ITEMS[:1])}, bss=False, perceptual=("pesq_wb",))
    assert capsys.readouterr().out.count("pesq_wb") == 1
    assert table["pesq_wb"].isna().all() and table["si_sdr"].notna().all()
    assert table["unmeasured"].str.startswith("pesq_wb: ").all()
    with pytest.raises(EvaluationError, match="perceptual figures need the sample rate"):
        evaluate(mixture_system(), ITEMS, "m", perceptual=("stoi",))


def test_a_silent_source_does_not_cost_the_mixture():
    silent = ITEMS[1] | {"sources": ITEMS[1]["sources"] * torch.tensor([[1.0], [0.0]])}
    table = evaluate(oracle_system("irm"), [ITEMS[0], silent], "irm", bss=False)
    assert (table["error"] == "").all() and table["si_sdr"].isna().tolist() == [False] * 3 + [True]
    row = summary(table, "si_sdr").iloc[0]
    assert (row["n"], row["failed"], row["silent"]) == (2, 0, 1)


def test_a_system_that_breaks_its_contract_in_the_middle_costs_only_what_it_breaks(capsys):
    def cuts_the_last(mixture, sources):
        return sources[:, :-1] if torch.equal(mixture, ITEMS[3]["mixture"]) else 0.9 * sources
    table = evaluate(cuts_the_last, ITEMS, "cuts", bss=False)
    assert "cuts: 1 of 4 mixtures could not be measured: mix_3: mix_3: the system gave (2, 3999)" \
        in capsys.readouterr().out
    assert summary(table)["n"].item() == 3


def test_nan_from_a_system_is_a_failure_with_a_reason(capsys):
    def breaks(mixture, sources):
        return sources / (0 if torch.equal(mixture, ITEMS[0]["mixture"]) else 1)
    table = evaluate(breaks, ITEMS, "nan", bss=False)
    assert "mix_0: the estimates (2, 4000) are empty or hold NaN" in capsys.readouterr().out
    assert summary(table, "si_sdr")["n"].item() == 3


def test_stems_keep_their_order():
    def swaps(mixture, sources):
        return sources.flip(0) + 0.001 * noise(2, 4000)
    free, kept = (evaluate(swaps, ITEMS, "s", bss=False, permute=p) for p in (True, False))
    assert (free["si_sdr"] > 10).all() and (kept["si_sdr"] < 0).all()
    assert kept["note"].str.contains(r"the order \[1, 0\] would be").all()


class Stereo(nn.Module):
    """A separator for two channels whose estimates are at a wrong level."""

    channels, sample_rate = 2, 8000

    def forward(self, mixture):
        assert mixture.shape[:2] == (1, 2)
        return torch.stack([2.0 * mixture, -0.1 * mixture.flip(2)], 1)


def test_stereo_is_separated_and_measured():
    sources = torch.stack([i["sources"] for i in ITEMS[:2]], 1)       # (source, channel, time)
    it = ITEMS[0] | {"sources": sources, "mixture": sources.sum(0)}
    estimates = separate(Stereo(), it["mixture"])
    assert estimates.shape == sources.shape
    rest = it["mixture"] - estimates.sum(0)
    assert (rest * estimates).sum((1, 2)).abs().max() < 1e-4          # least squares, both channels
    table = evaluate(Stereo(), [it], "stereo")
    assert len(table) == 2 and table["sdr"].notna().all()
    with pytest.raises(EvaluationError, match=r"\(4000,\) .* give one waveform \(2, time\)"):
        separate(Stereo(), it["mixture"][0])
