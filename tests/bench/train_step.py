"""A training step of Conv-TasNet against torchaudio's, same configuration, loss and optimiser."""

import _ratio
import torch

from sep_helpers import _torchaudio, models
from sep_helpers.permutation import pit


def step(network, mixture, sources):
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def run():
        loss = -pit(network(mixture), sources)[0].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return run


config = {"name": "conv_tasnet", "N": 512, "L": 40, "B": 128, "H": 256, "Sc": 128, "X": 7, "R": 2}
ours = models.build(models.complete(config))
theirs = _torchaudio.load().models.ConvTasNet(
    num_sources=2, enc_kernel_size=40, enc_num_feats=512, msk_kernel_size=3, msk_num_feats=128,
    msk_num_hidden_feats=256, msk_num_layers=7, msk_num_stacks=2)
sources = torch.randn(1, 2, 4 * 8000)
mixture = sources.sum(1)
ratios = _ratio.pairs(step(ours, mixture, sources), step(theirs, mixture.unsqueeze(1), sources))
_ratio.report("train_step", ratios, "torchaudio", goal=1.25)
