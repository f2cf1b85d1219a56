"""Recurrent mask networks: LSTM and BLSTM with a residual input, DRNN and SRNN.

Huang, Kim, Hasegawa-Johnson & Smaragdis, "Joint optimization of masks and deep recurrent neural
networks for monaural source separation", 2015 (DRNN, SRNN, the joint mask layer).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.mask_network import MaskNetwork, begin_for_relu

TINY = 1e-6        # the size of a matrix that is as good as zero


class LSTMMasks(MaskNetwork):
    """x + W0 x -> LSTM -> ReLU -> linear -> masks."""

    DEFAULTS = {"hidden": 256, "layers": 2, **MaskNetwork.SHARED}
    WAYS = 1

    def __init__(self, config: dict):
        super().__init__(config)
        c = config
        self.residual = nn.Linear(self.n_features, self.n_features, bias=False)
        nn.init.zeros_(self.residual.weight)         # begin with the features as they are
        self.lstm = nn.LSTM(self.n_features, c["hidden"], c["layers"], batch_first=True,
                            bidirectional=self.WAYS == 2)
        self.to_masks = nn.Linear(self.WAYS * c["hidden"], self.n_outputs)

    def estimate(self, features: Tensor) -> Tensor:
        y, _ = self.lstm(features + self.residual(features))
        return self.to_masks(torch.relu(y))


class BLSTMMasks(LSTMMasks):
    """The same, reading forwards and backwards."""

    DEFAULTS = {**LSTMMasks.DEFAULTS, "hidden": 128}
    WAYS = 2


class DRNNMasks(MaskNetwork):
    """Layers of ReLU units, ONE of them recurrent, then a linear layer and joint soft masks.

    h_l(t) = relu(W_l h_{l-1}(t) + U h_l(t-1)) for the recurrent layer l (Huang et al., eq. 1-2).
    `bounded`: U cannot make anything larger; a config that does not say so is of an older network.
    """

    DEFAULTS = {"hidden": 512, "layers": 3, "recurrent": 2, "bounded": True,
                **MaskNetwork.SHARED, "mask": "joint"}
    ABSENT = {"bounded": False}

    @classmethod
    def objection(cls, c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if c["recurrent"] > c["layers"]:
            return f"recurrent={c['recurrent']}: there are {c['layers']} layers, name one of them"
        return super().objection(c)

    def recurrent_layers(self, config: dict) -> set[int]:
        """Which layers, counted from 1, look back in time."""
        return {config["recurrent"]}

    def __init__(self, config: dict):
        super().__init__(config)
        sizes = [self.n_features] + config["layers"] * [config["hidden"]]
        recurrent = self.recurrent_layers(config)
        recurrence = ReLURecurrence if config["bounded"] else FreeRecurrence
        self.layers = nn.Sequential(*(
            recurrence(size, config["hidden"]) if number in recurrent
            else nn.Sequential(begin_for_relu(nn.Linear(size, config["hidden"])), nn.ReLU())
            for number, size in enumerate(sizes[:-1], start=1)
        ))
        self.to_masks = nn.Linear(config["hidden"], self.n_outputs)

    def estimate(self, features: Tensor) -> Tensor:
        return self.to_masks(self.layers(features))


class SRNNMasks(DRNNMasks):
    """Stacked RNN: EVERY hidden layer is recurrent."""

    DEFAULTS = {key: value for key, value in DRNNMasks.DEFAULTS.items() if key != "recurrent"}

    @classmethod
    def objection(cls, c: dict) -> str | None:
        """Why these values do not go together, or None."""
        return MaskNetwork.objection(c)

    def recurrent_layers(self, config: dict) -> set[int]:
        """Which layers, counted from 1, look back in time."""
        return set(range(1, config["layers"] + 1))


class ReLURecurrence(nn.Module):
    """h(t) = relu(W x(t) + b + U h(t-1)), (batch, frame, in) -> (batch, frame, hidden).

    A ReLU has no upper end: where U makes anything larger, a recording longer than those of the
    training explodes, to infinity and NaN. So U is a matrix divided by its largest singular value
    (Miyato et al., "Spectral normalization", 2018), and a state is never larger than all that came
    in, added up. It begins as a rotation, which keeps what it is given: a memory to begin with.
    """

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.inputs = begin_for_relu(nn.Linear(inputs, hidden))
        self.memory = nn.Linear(hidden, hidden, bias=False)
        nn.init.orthogonal_(self.memory.weight)
        self.register_buffer("stretched", F.normalize(torch.ones(hidden), dim=0))

    def bounded(self) -> Tensor:
        """U. In training, one step of the power method a call follows the weights closely enough
        and costs little; in use, and with averaged weights, the singular value is computed."""
        W = self.memory.weight
        if not self.training:
            finite = W.float().nan_to_num(0, 0, 0)      # weights that are NaN stay so, and are seen
            return W / torch.linalg.matrix_norm(finite, 2).clamp(min=TINY).to(W.dtype)
        with torch.no_grad():
            self.stretched = F.normalize(W.mT @ (W @ self.stretched), dim=0)
        return W / (W @ self.stretched).norm().clamp(min=TINY)

    def forward(self, x: Tensor) -> Tensor:
        x, U = self.inputs(x), self.bounded()
        h, states = torch.zeros_like(x[:, 0]), []
        for now in x.unbind(1):
            h = torch.relu(torch.addmm(now, h, U.mT))
            states.append(h)
        return torch.stack(states, 1)


class FreeRecurrence(nn.RNN):
    """The same with a U that may grow, as the paper and older networks of this course have it."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__(inputs, hidden, nonlinearity="relu", batch_first=True)
        with torch.no_grad():
            self.weight_hh_l0.copy_(0.5 * torch.eye(hidden))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0]
