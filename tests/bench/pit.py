"""PIT over SI-SNR, forward and backward, batch 8 x 4 s, against the faster of the peers here.

A round is STEPS steps of ours, then as many of the peer's. `_cold` is a round of ONE step, told
beside it: it begins with caches full of the peer's memory and with sleeping threads, which may
double a step of half a millisecond and hardly matters to one of ten. Its goal is to be faster.
"""

import statistics

import _ratio
import torch
from torchmetrics.functional import audio

from sep_helpers.permutation import pit

try:
    from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
except ImportError:
    print("pit: asteroid is not installed (tests/requirements-peers.txt), torchmetrics alone")
    PITLossWrapper = None


def torchmetrics_loss(estimates, sources):
    value, _ = audio.permutation_invariant_training(
        estimates, sources, audio.scale_invariant_signal_noise_ratio, eval_func="max")
    return -value.mean()


def steps(loss, estimates, sources, count):
    def run():
        for _ in range(count):
            estimates.grad = None
            loss(estimates, sources).backward()
    return run


def ours(estimates, sources):
    return -pit(estimates, sources)[0].mean()


STEPS = 20
peers = {"torchmetrics": torchmetrics_loss}
if PITLossWrapper:
    peers["asteroid"] = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
torch.manual_seed(0)
for n, goal in ((2, 5), (3, 5), (5, 12)):
    sources = torch.randn(8, n, 4 * 8000)
    estimates = (sources.flip(1) + torch.randn(sources.shape)).requires_grad_()
    for name, count, least in ((f"pit_{n}_sources", STEPS, goal),
                               (f"pit_{n}_sources_cold", 1, 1)):
        ratios = {peer: _ratio.pairs(steps(ours, estimates, sources, count),
                                     steps(loss, estimates, sources, count))
                  for peer, loss in peers.items()}
        fastest = min(ratios, key=lambda peer: statistics.median(ratios[peer]))
        _ratio.report(name, ratios[fastest], fastest, least)
