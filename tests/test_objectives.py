"""Objectives behind PIT: the numbers of `losses`, and finite ones for silence."""

from itertools import permutations

import pytest
import torch

from sep_helpers import losses, objectives
from sep_helpers.permutation import reorder
from sep_helpers.settings import CHOICES
from sep_helpers.spectral_losses import Dissimilarity
from sep_helpers.stft import stft


def signals(batch=3, n=2, time=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sources = torch.randn(batch, n, time, generator=generator)
    noise = 0.3 * torch.randn(batch, n, time, generator=generator)
    return (sources + noise).flip(1).requires_grad_(), sources


@pytest.mark.parametrize("name", ["si_snr", "snr"])
def test_audible_targets_score_as_the_measure_does(name):
    estimates, sources = signals()
    value, permutation = objectives.score(estimates, sources, objective=name)
    expected = getattr(losses, name)(estimates.flip(1), sources).mean(-1)
    assert torch.allclose(value, expected, atol=1e-4)
    assert permutation.tolist() == [[1, 0]] * 3


def test_mse_is_minus_the_mean_square_and_padding_does_not_count():
    estimates, sources = signals()
    value, _ = objectives.score(estimates, sources, objective="mse")
    error = (estimates.flip(1) - sources).square()
    assert torch.allclose(value, -error.mean((1, 2)))
    lengths = torch.tensor([400, 100, 250])
    value, _ = objectives.score(estimates, sources, lengths, "mse")
    expected = torch.stack([-error[b, :, :length].mean() for b, length in enumerate(lengths)])
    assert torch.allclose(value, expected)


def test_a_fixed_order_leaves_the_estimates_where_they_are():
    estimates, sources = signals()
    value, permutation = objectives.score(estimates, sources, assignment="fixed")
    assert permutation.tolist() == [[0, 1]] * 3
    assert torch.allclose(value, losses.si_snr(estimates, sources).mean(-1), atol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("gamma", [0.0, 0.2])
@pytest.mark.parametrize("assignment", CHOICES["assignment"])
@pytest.mark.parametrize("objective", [o for o in CHOICES["objective"] if o != "conv_sep"])
def test_every_objective_is_matched_as_asked_for_any_number_of_sources(objective, assignment,
                                                                      gamma, n):
    """Against loops over orders, utterance by utterance; and it can be learnt from."""
    generator = torch.Generator().manual_seed(n)
    sources = torch.randn(2, n, 600, generator=generator)
    order = torch.stack([torch.randperm(n, generator=generator) for _ in range(2)])
    noisy = sources + 0.4 * torch.randn(sources.shape, generator=generator)
    estimates = reorder(noisy, order).requires_grad_()
    value, permutation = objectives.score(estimates, sources, None, objective, assignment,
                                          gamma=gamma)
    for b in range(2):
        pairs = torch.stack([torch.stack([objectives.METRICS[objective](
            estimates[b:b + 1, e], sources[b:b + 1, s])[0] for s in range(n)]) for e in range(n)])
        total = {p: sum(pairs[p[s], s] for s in range(n)).item() for p in permutations(range(n))}
        chosen = tuple(permutation[b].tolist())
        if assignment == "pit":
            assert total[chosen] == pytest.approx(max(total.values()), rel=1e-4)
        elif assignment == "fixed":
            assert chosen == tuple(range(n))
        others = pairs.sum().item() - total[chosen]
        assert value[b].item() == pytest.approx((total[chosen] - gamma * others) / n, rel=2e-3,
                                                abs=1e-4)
        if assignment != "fixed":                      # the noise is mild: nobody can be mistaken
            assert (order[b][list(chosen)] == torch.arange(n)).all()
    (-value.mean()).backward()
    assert estimates.grad.isfinite().all() and estimates.grad.abs().sum() > 0


@pytest.mark.parametrize("objective", CHOICES["objective"])
@pytest.mark.parametrize("assignment", CHOICES["assignment"])
@pytest.mark.parametrize("silent", ["one", "half", "all", "estimate"])
def test_silence_gives_finite_values_and_gradients(objective, assignment, silent):
    estimates, sources = signals()
    with torch.no_grad():
        if silent == "one":
            sources[0, 0] = 0
        elif silent == "half":
            sources[:, 1, :200] = 0
        elif silent == "all":
            sources[1] = 0
        else:
            estimates[2] = 0
    value, _ = objectives.score(estimates, sources, torch.tensor([400, 300, 200]), objective,
                                assignment)
    (-value.mean()).backward()
    assert value.isfinite().all() and estimates.grad.isfinite().all()


def test_a_silent_target_costs_thirty_db_at_most_and_rewards_silence():
    sources = signals(batch=1)[1]
    sources[0, 1] = 0
    mixture = sources.sum(1)
    loud = objectives.score(torch.stack([mixture, mixture], 1), sources, assignment="fixed")[0]
    quiet = objectives.score(torch.stack([mixture, 0.001 * mixture], 1), sources,
                             assignment="fixed")[0]
    perfect = losses.si_snr(mixture, mixture).item()
    assert 2 * loud.item() - perfect == pytest.approx(-30, abs=0.1)
    assert 2 * quiet.item() - perfect == pytest.approx(0, abs=0.1)


def test_pairs_are_computed_when_somebody_looks():
    estimates, sources = signals()
    scores = objectives.Scores(estimates, sources, None, "si_snr")
    expected = losses.si_snr(estimates[:, :, None], sources[:, None])
    for i in (0, 2, -1):
        assert torch.allclose(scores[i], expected[i].detach(), atol=1e-4)
    assert len(scores) == 3 and not scores[0].requires_grad


def test_half_precision_estimates_are_scored_in_float32():
    estimates, sources = signals()
    value, _ = objectives.score(estimates.bfloat16(), sources)
    assert value.dtype == torch.float32


# --- stereo, and stems with names

def stereo(batch=2, n=3, time=700, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, n, 2, time, generator=generator) for _ in range(2)]


@pytest.mark.parametrize("name", ["si_snr", "snr", "mse"])
def test_both_channels_are_measured_together(name):
    """As one signal of twice the samples, whatever their order; padding does not count."""
    estimates, sources = stereo()
    estimates = sources + 0.3 * estimates
    value, _ = objectives.score(estimates, sources, objective=name, assignment="fixed")
    flat, _ = objectives.score(estimates.flatten(2), sources.flatten(2), objective=name,
                               assignment="fixed")
    assert torch.allclose(value, flat, atol=1e-4)
    lengths = torch.tensor([700, 300])
    padded, _ = objectives.score(estimates, sources, lengths, name, "fixed")
    short, _ = objectives.score(estimates[1:, ..., :300], sources[1:, ..., :300], objective=name,
                                assignment="fixed")
    assert torch.allclose(padded[1], short[0], atol=1e-4)


@pytest.mark.parametrize("name", CHOICES["objective"])
@pytest.mark.parametrize("assignment", ["pit", "fixed"])
def test_every_objective_takes_stereo(name, assignment):
    estimates, sources = stereo()
    estimates = (sources[:, [1, 0, 2]] + 0.1 * estimates).requires_grad_()
    value, permutation = objectives.score(estimates, sources, objective=name, assignment=assignment)
    value.sum().backward()
    assert value.shape == (2,) and estimates.grad.isfinite().all()
    swapped = assignment == "pit" and name != "conv_sep"        # whose slots have names
    assert permutation.tolist() == 2 * [[1, 0, 2] if swapped else [0, 1, 2]]
    table = objectives.Scores(estimates, sources, None, name)[0]
    assert table.shape == (3, 3)


def test_conv_sep_is_the_published_sum():
    """Term by term, on magnitudes: Chandna et al. 2017 for voice, drums, bass and the rest."""
    generator = torch.Generator().manual_seed(0)
    E, S = torch.randn(2, 1, 4, 3000, generator=generator)
    estimates, targets = (stft(x[0], 1024, 256).abs() for x in (E, S))

    def far(i, j):
        return (estimates[i] - targets[j]).square().mean().item()

    loss = far(0, 0) + far(1, 1) + far(2, 2)
    loss -= 0.001 * (far(0, 1) + far(0, 2) + far(1, 0) + far(1, 2) + far(2, 0) + far(2, 1))
    loss -= 0.01 * (far(1, 3) + far(2, 3)) + 0.03 * far(0, 3)
    value, permutation = objectives.score(E, S, objective="conv_sep")
    assert value.item() == pytest.approx(-loss / 4, rel=1e-4)
    assert permutation.tolist() == [[0, 1, 2, 3]]
    plain, _ = objectives.score(E, S, objective="conv_sep", apart=Dissimilarity(0, 0, 0))
    assert plain.item() == pytest.approx(-(far(0, 0) + far(1, 1) + far(2, 2)) / 4, rel=1e-4)


def test_silent_stems_score_as_before_in_stereo():
    estimates, sources = stereo()
    sources[:, 1] = 0
    value, _ = objectives.score(0 * estimates, sources, objective="snr", assignment="fixed")
    assert value.isfinite().all()


@pytest.mark.parametrize("lengths", [None, torch.tensor([700, 300])])
def test_conv_sep_without_pairs_is_the_sum_over_pairs(lengths):
    estimates, sources = stereo(n=4)
    function = objectives.metric("conv_sep", sources, lengths)
    pairs = objectives.pairwise(estimates, sources, function, lengths)
    apart = Dissimilarity(0.02, 0.05, 0.1)
    value, _ = objectives.score(estimates, sources, lengths, "conv_sep", "fixed", apart)
    assert torch.allclose(value, apart(pairs), rtol=1e-4)


def test_only_what_sounds_is_heard():
    estimates, sources = stereo(batch=3, n=3)
    estimates = sources + 0.3 * estimates
    sources[1, 2] = 0                          # one silent stem, and a silent mixture
    sources[2] = 0
    value = objectives.of_heard(estimates, sources)
    each = losses.si_snr(estimates.mT.flatten(-2), sources.mT.flatten(-2))
    assert torch.allclose(value[:2], torch.stack([each[0].mean(), each[1, :2].mean()]), atol=1e-4)
    assert value[2] == 0
    whole, _ = objectives.score(estimates[:1], sources[:1], assignment="fixed")
    assert torch.allclose(value[0], whole[0], atol=1e-4)
