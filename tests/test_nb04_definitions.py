"""What notebook 04 defines, cut out of its source and held against the package."""

import ast
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from sep_helpers import evaluation, losses, models, workspace
from sep_helpers.checks import diagnose

SOURCE = Path(__file__).parents[1] / "notebooks" / "src" / "04_tasnet.py"
CELLS = [cell for cell in jupytext.read(SOURCE).cells if cell.cell_type == "code"]
DEFINING = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
TINY = dict(N=12, L=8, B=6, H=10, Sc=5, P=3, X=3, R=2)


def tagged(tag):
    return [cell.source for cell in CELLS if tag in cell.metadata.get("tags", [])]


def definitions() -> dict:
    """The notebook's imports, functions and classes, without running it; solutions, not stubs."""
    names = {"L": 32, "hop": 16, "no_norm": lambda channels: torch.nn.Identity()}
    skipped = tagged("exercise") + tagged("setup")
    for cell in CELLS:
        if cell.source not in skipped:
            kept = [node for node in ast.parse(cell.source).body if isinstance(node, DEFINING)
                    and "interact" not in ast.unparse(node)]      # no sliders here
            exec(compile(ast.Module(kept, []), SOURCE.name, "exec"), names)
    return names


NB = definitions()


def pair(**changes):
    """The notebook's network and the package's, with the same weights."""
    sizes = {**TINY, **changes}
    causal, norm = sizes.pop("causal", False), sizes.pop("norm", "gLN")
    torch.manual_seed(0)
    package = models.build(models.complete(
        dict(name="conv_tasnet", **sizes, norm=norm, causal=causal))).eval()
    for parameter in package.parameters():      # away from the ones and zeros of a fresh norm
        parameter.data += 0.1 * torch.randn_like(parameter)
    by_name = {"gLN": NB["GlobalNorm"], "cLN": NB["CumulativeNorm"]}
    mine = NB["ConvTasNet"](**{("S" if key == "n_sources" else key): value
                               for key, value in sizes.items()}, norm=by_name[norm], causal=causal)
    NB["copy_weights"](package, mine)
    return mine, package


@pytest.mark.parametrize("changes", [{}, {"L": 16, "X": 4}, {"n_sources": 3}, {"norm": "cLN"},
                                     {"norm": "cLN", "causal": True}], ids=str)
def test_the_notebooks_network_is_the_packages(changes):
    mine, package = pair(**changes)
    with torch.no_grad():
        for time in (1, 8, 333, 1000):
            x = torch.randn(2, time)
            assert torch.allclose(mine(x), package(x), atol=1e-5)


@pytest.mark.parametrize("preset", workspace.PRESETS.values(), ids=lambda preset: preset.name)
def test_every_presets_sizes_fit_it(preset):
    sizes = {key: preset.model[key] for key in TINY}
    with torch.device("meta"):
        counts = [models.count_parameters(NB["ConvTasNet"](**sizes)),
                  models.count_parameters(models.build(models.complete(
                      dict(name="conv_tasnet", **sizes))))]
    assert counts[0] == counts[1]


def test_only_left_padding_and_cln_together_are_causal():
    x = torch.randn(1, 400)
    changed = torch.cat([x[:, :200], torch.randn(1, 200)], 1)
    for norm in ("GlobalNorm", "CumulativeNorm"):
        for causal in (True, False):
            torch.manual_seed(0)
            network = NB["ConvTasNet"](**TINY, norm=NB[norm], causal=causal)
            past = (network(x) - network(changed))[..., : 200 - TINY["L"]]
            assert (past.abs().max() == 0) == (causal and norm == "CumulativeNorm")


def test_overlap_add_is_the_transposed_convolution():
    d, V = torch.randn(2, 7, 9), torch.randn(9, 8)
    expected = F.conv_transpose1d(d.transpose(1, 2), V.unsqueeze(1), stride=4).squeeze(1)
    assert torch.allclose(NB["overlap_add"](d @ V), expected, atol=1e-5)


@pytest.mark.parametrize("time", [1, 15, 16, 17, 500])
def test_the_round_trip_is_exact_for_any_length_and_any_basis(time):
    padded = NB["pad"](torch.randn(2, time), 16)
    for basis in (NB["fourier_filters"](32), torch.randn(48, 32)):
        back = NB["round_trip"](basis, padded)
        assert back.shape == padded.shape
        assert losses.snr(NB["trim"](back, 16, time), NB["trim"](padded, 16, time)).min() > 50


def test_what_is_measured_is_the_formula():
    torch.manual_seed(0)
    for X, R, L in ((1, 1, 8), (3, 2, 16), (4, 1, 32)):
        formula = models.receptive_field(dict(name="conv_tasnet", X=X, R=R, L=L, P=3))
        assert NB["measured"](X, R, L) == formula


def test_blocks_by_name_forget_the_repeats():
    assert NB["named"](1) == NB["named"](3)
    assert NB["listed"](3) == 3 * NB["listed"](1) == 3 * NB["named"](1)


def test_fitted_gains_are_the_packages():
    sources = torch.randn(2, 3000)
    odd = torch.tensor([[1e4], [-1e-3]]) * (sources + 0.1 * torch.randn(2, 3000))
    fitted = NB["fit_gains"](odd, sources.sum(0))
    assert torch.allclose(fitted, evaluation.match_level(odd, sources.sum(0)), atol=1e-5)
    assert losses.snr(fitted, sources).min() > 18 > losses.snr(odd, sources).max()


def test_every_future_tells_the_causal_network_from_the_trap():
    NB.update(small=TINY, length=60)
    for norm, causal in (("GlobalNorm", True), ("CumulativeNorm", False), ("CumulativeNorm", True)):
        torch.manual_seed(0)
        network = NB["ConvTasNet"](**TINY, norm=NB[norm], causal=causal)
        moved = NB["every_future"](network)
        assert moved.shape == (60, 60) and moved[0].max() > 0
        assert (NB["in_the_past"](moved) == 0) == (causal and norm == "CumulativeNorm")


def test_peak_matching_gives_everyone_the_mixtures_peak():
    sources = torch.randn(2, 500) * torch.tensor([[1.0], [-0.1]])
    matched = NB["match_peaks"](sources, sources.sum(0))
    assert torch.allclose(matched.abs().amax(-1), sources.sum(0).abs().max().expand(2))


def board(**variants) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"variant": name, "seed": range(len(values)), "unseen": values})
                      for name, values in variants.items()])


def test_luck_is_the_pooled_spread_of_the_seeds():
    table = board(a=[1.0, 3.0], b=[5.0, 5.0], c=[7.0, 8.0])
    deviation, freedom = NB["luck"](table, "unseen")
    assert freedom == 3 and deviation == pytest.approx((2.5 / 3) ** 0.5)
    assert NB["believable"](table, "unseen") == pytest.approx(3.182446 * deviation, rel=1e-5)


def test_luck_alone_is_believed_once_in_twenty_times():
    rng = np.random.default_rng(0)
    trials = 2000
    believed = 0
    for values in rng.normal(size=(trials, 6, 2)):
        table = board(**{f"v{i}": pair for i, pair in enumerate(values)})
        difference = abs(values[0].mean() - values[1].mean())
        believed += difference > NB["believable"](table, "unseen")
    assert believed / trials == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("number, name", [
    (1, "any_length"), (2, "to_masks"), (3, "depthwise"), (4, "samples_seen"),
    (5, "cumulative_norm"), (6, "looks_ahead"), (7, "make_blocks"), (8, "consistent")])
def test_stubs_are_not_attempted_and_solutions_pass(number, name):
    stub, solution = tagged("exercise")[number - 1], tagged("solution")[number - 1]
    names = dict(NB)
    exec(stub, names)
    assert diagnose(f"04.{number}", names[name]) == "not attempted"
    exec(solution, names)
    assert diagnose(f"04.{number}", names[name]) == "pass"
