"""PIT over SI-SNR, forward and backward, batch 8 x 4 s, against the faster of the peers here."""

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


def step(loss, estimates, sources):
    def run():
        estimates.grad = None
        loss(estimates, sources).backward()
    return run


def ours(estimates, sources):
    return -pit(estimates, sources)[0].mean()


peers = {"torchmetrics": torchmetrics_loss}
if PITLossWrapper:
    peers["asteroid"] = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
torch.manual_seed(0)
for n, goal in ((2, 5), (3, 5), (5, 12)):
    sources = torch.randn(8, n, 4 * 8000)
    estimates = (sources.flip(1) + torch.randn(sources.shape)).requires_grad_()
    ratios = {name: _ratio.pairs(step(ours, estimates, sources), step(peer, estimates, sources))
              for name, peer in peers.items()}
    fastest = min(ratios, key=lambda name: statistics.median(ratios[name]))
    _ratio.report(f"pit_{n}_sources", ratios[fastest], fastest, goal)
