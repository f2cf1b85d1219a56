"""Recurrent mask networks: LSTM and BLSTM with a residual input, DRNN and SRNN.

Huang, Kim, Hasegawa-Johnson & Smaragdis, "Joint optimization of masks and deep recurrent neural
networks for monaural source separation", 2015 (DRNN, SRNN, the joint mask layer).
"""

import torch
from torch import Tensor, nn

from sep_helpers.models.mask_network import MaskNetwork


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
    """

    DEFAULTS = {"hidden": 512, "layers": 3, "recurrent": 2,
                **MaskNetwork.SHARED, "mask": "joint"}

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
        self.layers = nn.ModuleList(
            recurrent_relu(size, config["hidden"]) if number in recurrent
            else nn.Sequential(nn.Linear(size, config["hidden"]), nn.ReLU())
            for number, size in enumerate(sizes[:-1], start=1)
        )
        self.to_masks = nn.Linear(config["hidden"], self.n_outputs)

    def estimate(self, features: Tensor) -> Tensor:
        y = features
        for layer in self.layers:
            y = layer(y)[0] if isinstance(layer, nn.RNN) else layer(y)
        return self.to_masks(y)


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


def recurrent_relu(inputs: int, hidden: int) -> nn.RNN:
    """h(t) = relu(W x(t) + U h(t-1)).

    U begins as half the identity: a ReLU that feeds itself more than it loses would explode
    within a second of frames (Le, Jaitly & Hinton, 2015, begin with the identity).
    """
    layer = nn.RNN(inputs, hidden, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(0.5 * torch.eye(hidden))
    return layer
