"""PIT: per utterance, the right way round, equal to brute force and to torchmetrics."""

from itertools import permutations

import pytest
import torch

from sep_helpers.losses import si_snr, snr
from sep_helpers.permutation import (
    best_permutation,
    discriminative,
    fixed,
    greedy,
    pairwise,
    pit,
    reorder,
)


def noisy_and_shuffled(n_sources: int, batch: int = 4, time: int = 800):
    """Sources, estimates in a random order for each utterance, and the answer."""
    g = torch.Generator().manual_seed(n_sources)
    sources = torch.randn(batch, n_sources, time, generator=g)
    noisy = sources + 0.5 * torch.randn(sources.shape, generator=g)
    order = torch.stack([torch.randperm(n_sources, generator=g) for _ in range(batch)])
    return sources, reorder(noisy, order), order.argsort(-1), noisy


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_undoes_any_shuffle_for_each_utterance_on_its_own(n):
    sources, estimates, answer, noisy = noisy_and_shuffled(n)
    value, permutation = pit(estimates, sources)
    assert torch.equal(permutation, answer)
    assert torch.equal(reorder(estimates, permutation), noisy)
    assert torch.allclose(value, si_snr(noisy, sources).mean(-1))


@pytest.mark.parametrize("metric", [si_snr, snr])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_equals_brute_force_one_utterance_at_a_time(n, metric):
    g = torch.Generator().manual_seed(9)
    estimates, sources = torch.randn(2, 6, n, 300, generator=g).unbind(0)
    value, _ = pit(estimates, sources, metric)
    for b in range(6):
        scores = [metric(estimates[b, list(p)], sources[b]).mean() for p in permutations(range(n))]
        assert value[b].item() == pytest.approx(max(scores).item(), abs=1e-4)


def test_equals_torchmetrics():
    audio = pytest.importorskip("torchmetrics.functional.audio")
    sources, estimates, _, _ = noisy_and_shuffled(3)
    theirs, order = audio.permutation_invariant_training(
        estimates, sources, audio.scale_invariant_signal_noise_ratio, eval_func="max")
    value, permutation = pit(estimates, sources)
    assert torch.allclose(value, theirs, atol=1e-4) and torch.equal(permutation, order)


def test_the_hungarian_method_equals_enumeration(monkeypatch):
    scores = torch.randn(20, 4, 4, generator=torch.Generator().manual_seed(1))
    enumerated = best_permutation(scores)
    monkeypatch.setattr("sep_helpers.permutation.ENUMERATE_UP_TO", 0)
    assert torch.equal(best_permutation(scores), enumerated)


@pytest.mark.parametrize("n", [2, 5, 6])
def test_nan_in_one_utterance_is_its_own_affair(n):
    sources, estimates, answer, _ = noisy_and_shuffled(n)
    expected, _ = pit(estimates, sources)
    estimates[2, 1, 7] = torch.nan
    value, permutation = pit(estimates, sources)
    assert value.isfinite().tolist() == [True, True, False, True]
    whole = [0, 1, 3]
    assert torch.allclose(value[whole], expected[whole])
    assert torch.equal(permutation[whole], answer[whole])


def test_pairwise_rows_are_estimates():
    sources, _, _, noisy = noisy_and_shuffled(2)
    scores = pairwise(noisy, sources)
    assert scores.shape == (4, 2, 2)
    assert torch.allclose(scores[:, 1, 0], si_snr(noisy[:, 1], sources[:, 0]), atol=1e-4)


def test_gradient_flows_through_the_chosen_pairs_only():
    sources, estimates, _, _ = noisy_and_shuffled(2)
    estimates.requires_grad_()
    value, permutation = pit(estimates, sources)
    value.sum().backward()
    direct = estimates.detach().clone().requires_grad_()
    si_snr(reorder(direct, permutation), sources).mean(-1).sum().backward()
    assert torch.allclose(estimates.grad, direct.grad, rtol=1e-4, atol=1e-6)
    assert estimates.grad.abs().sum() > 0


def test_padding_does_not_count():
    sources, estimates, answer, noisy = noisy_and_shuffled(2)
    lengths = torch.full((4,), 500)
    estimates[..., 500:] = 50.0
    value, permutation = pit(estimates, sources, lengths=lengths)
    assert torch.equal(permutation, answer)
    assert torch.allclose(value, si_snr(noisy[..., :500], sources[..., :500]).mean(-1), atol=1e-3)


def test_a_wrong_number_of_sources_is_said_in_one_line():
    with pytest.raises(ValueError, match="must have one shape .* n_sources"):
        pit(torch.randn(2, 3, 100), torch.randn(2, 2, 100))


def test_greedy_takes_the_nearest_one_by_one_and_can_miss_the_best():
    scores = torch.tensor([[[10.0, 9.0], [9.5, 0.0]],        # estimate 0 takes what 1 needed
                           [[1.0, 8.0], [7.0, 2.0]]])        # here it does no harm
    assert greedy(scores).tolist() == [[0, 1], [1, 0]]
    assert best_permutation(scores).tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_greedy_gives_every_source_an_estimate_and_never_beats_the_best(n):
    scores = torch.randn(50, n, n, generator=torch.Generator().manual_seed(n))
    permutation = greedy(scores)
    assert torch.equal(permutation.sort(-1).values, fixed(scores))
    totals = [discriminative(scores, p, 0) for p in (permutation, best_permutation(scores))]
    assert (totals[0] <= totals[1] + 1e-6).all() and (totals[0] < totals[1]).any()


def test_a_discriminative_score_is_huangs_equation():
    g = torch.Generator().manual_seed(4)
    y1, y2, e1, e2 = torch.randn(4, 1, 300, generator=g)
    d = lambda a, b: (a - b).square().sum().item()                          # noqa: E731
    minus_distance = lambda e, s, lengths=None: -(e - s).square().sum(-1)   # noqa: E731
    scores = pairwise(torch.stack([e2, e1], 1), torch.stack([y1, y2], 1), minus_distance)
    value = discriminative(scores, torch.tensor([[1, 0]]), gamma=0.1)
    expected = -(d(e1, y1) + d(e2, y2) - 0.1 * (d(e1, y2) + d(e2, y1))) / 2
    assert value.item() == pytest.approx(expected, rel=1e-5)
