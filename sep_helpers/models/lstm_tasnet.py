"""LSTM-TasNet and BLSTM-TasNet: the first TasNet, whose masks come from recurrent layers.

Luo & Mesgarani, "TasNet: time-domain audio separation network for real-time, single-channel
speech separation", ICASSP 2018. Segments of L samples that do not overlap, each scaled to unit
norm; a gated encoder; softmax masks. N = 500, L = 40 (5 ms) and four layers of 1000 (or twice
500) units are that paper's, and count 31.1 M (23.1 M) parameters. The 32.0 M (23.6 M) that the
Conv-TasNet paper prints for its re-trained ones do not follow from any stated configuration.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.conv_tasnet import MASKS
from sep_helpers.models.waveform import check_mixture

QUIET = 1e-8     # the norm below which a segment is silence and is not amplified


class LSTMTasNet(nn.Module):
    """Separator: mixture (batch, time) -> estimates (batch, source, time), any length; causal."""

    DEFAULTS = {
        "N": 500,            # encoder filters
        "L": 40,             # samples in a segment
        "H": 1000,           # units of a layer (in each direction)
        "layers": 4,
        "causal": True,
        "mask": "softmax",
        "n_sources": 2,
        "sample_rate": 8000,
    }
    ABSENT: dict = {}
    EXTRAS: dict = {}
    CHOICES = {"mask": MASKS}

    @staticmethod
    def objection(c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if not c["causal"]:
            return "lstm_tasnet reads forwards only, it is causal: true; name: blstm_tasnet is not"
        return None

    def __init__(self, config: dict):
        super().__init__()
        self.config = c = dict(config)
        self.n_sources, self.sample_rate = c["n_sources"], c["sample_rate"]
        self.causal, self.length, self.n_filters = c["causal"], c["L"], c["N"]
        N, L, H, ways = c["N"], c["L"], c["H"], 1 if c["causal"] else 2
        self.encoder = nn.Linear(L, 2 * N, bias=False)        # U and V: a value and its gate
        self.norm = nn.LayerNorm(N)
        self.layers = nn.ModuleList(
            nn.LSTM(N if i == 0 else ways * H, H, batch_first=True, bidirectional=ways == 2)
            for i in range(c["layers"]))
        self.to_masks = nn.Linear(ways * H, c["n_sources"] * N)
        self.mask = MASKS[c["mask"]]
        self.decoder = nn.Linear(N, L, bias=False)            # the basis signals B

    def encode(self, segments: Tensor) -> Tensor:
        """(batch, frame, L) of unit norm -> (batch, frame, N), not negative (eq. 2)."""
        value, gate = self.encoder(segments).chunk(2, -1)
        return torch.relu(value) * torch.sigmoid(gate)

    def masks(self, w: Tensor) -> Tensor:
        """(batch, frame, N) -> (batch, source, frame, N).

        From the second layer on, an identity leads past every two layers.
        """
        y, past = self.norm(w), None
        for number, layer in enumerate(self.layers, start=1):
            y, _ = layer(y)
            if number % 2 == 0:
                y = past = y if past is None else y + past
        y = self.to_masks(y).unflatten(-1, (self.n_sources, self.n_filters))
        return self.mask(y.transpose(1, 2))

    def decode(self, d: Tensor, level: Tensor, time: int) -> Tensor:
        """(batch, source, frame, N), segment norms (batch, frame, 1) -> (batch, source, time)."""
        return (self.decoder(d) * level.unsqueeze(1)).flatten(-2)[..., :time]

    def forward(self, mixture: Tensor) -> Tensor:
        time = check_mixture(mixture, self).shape[-1]
        segments = F.pad(mixture, (0, -time % self.length)).unflatten(-1, (-1, self.length))
        level = segments.norm(dim=-1, keepdim=True)
        w = self.encode(segments / level.clamp(min=QUIET))
        return self.decode(self.masks(w) * w.unsqueeze(1), level, time)


class BLSTMTasNet(LSTMTasNet):
    """The same with layers that read in both directions: not causal."""

    DEFAULTS = {**LSTMTasNet.DEFAULTS, "H": 500, "causal": False}

    @staticmethod
    def objection(c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if c["causal"]:
            return ("blstm_tasnet with causal=True would look into the future: half of it reads "
                    "backwards; use name: lstm_tasnet")
        return None
