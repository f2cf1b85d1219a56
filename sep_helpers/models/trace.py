"""Following a real batch through a network: every tensor, its shape, and the paper's letters.

    trace(separator, mixture)    one row a tensor, in the order in which they come to be
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import torch
from torch import Tensor, nn

from sep_helpers.models.config import NETWORKS, check

# Where a tensor comes from (a module's name without numbers, or a step of the separator) -> what
# the papers call it, and its axes. K: frames, S: sources, C: chunks of a dual-path network.
STEPS = {
    "mixture": ("x", "batch T"), "encode": ("w", "batch K N"), "masks": ("m", "batch S K N"),
    "masked": ("d = m w", "batch S K N"), "decode": ("estimates", "batch S T"),
}
MODULES = {
    "norm": ("layer norm", "batch K N"), "bottleneck": ("1x1 conv", "batch K B"),
    "tcn.blocks.expand": ("1x1 conv", "batch K H"), "tcn.blocks.act": ("PReLU", "batch K H"),
    "tcn.blocks.norm": ("norm", "batch K H"), "tcn.blocks.depthwise": ("D-conv", "batch K H"),
    "tcn.blocks.contract": ("both 1x1 convs", "batch K B+Sc"),
    "tcn.blocks[0]": ("residual", "batch K B"), "tcn.blocks[1]": ("skip", "batch K Sc"),
    "tcn": ("sum of the skips", "batch K M"), "activation": ("PReLU", "batch K M"),
    "to_masks": ("1x1 conv", "batch K S*N"),
    "deep_encoder": ("deep encoder", "batch K N"), "deep_encoder.conv": ("conv", "batch N K"),
    "deep_decoder": ("deep decoder", "batch*S K N"), "deep_decoder.conv": ("conv", "batch*S N K"),
    "encoder": ("value and gate", "batch K 2*N"), "decoder": ("segments", "batch S K L"),
    "layers": ("LSTM", "batch K W*H"), "layers[0]": ("LSTM", "batch K W*H"),
    "tcn.paths.within.rnn[0]": ("BLSTM in a chunk", "batch*C chunk 2*H"),
    "tcn.paths.across.rnn[0]": ("BLSTM over chunks", "batch*chunk C 2*H"),
    "tcn.paths.within.linear": ("linear", "batch*C chunk B"),
    "tcn.paths.across.linear": ("linear", "batch*chunk C B"),
    "tcn.paths.within.norm": ("gLN", "batch C*chunk B"),
    "tcn.paths.across.norm": ("gLN", "batch chunk*C B"),
    "tcn.paths.within": ("within chunks", "batch C chunk B"),
    "tcn.paths.across": ("across chunks", "batch chunk C B"),
}


def trace(network: nn.Module | dict, mixture: Tensor) -> pd.DataFrame:
    """A table of all tensors on a mixture's way: tensor, paper, axes, sizes, shape, numbers.

    network: a separator, or a whole config to build one from; mixture (batch, time). `axes` has
    the letters, `sizes` what they are in this network, `shape` what was really there; axes are
    empty for a tensor that the table of the papers' names does not know. Nothing is changed: the
    mode, the hooks and the random numbers are as before.
    """
    if isinstance(network, dict):
        with torch.random.fork_rng(devices=[]):
            network = NETWORKS[check(network)["name"]](check(network))
    if mixture.dim() != (2 if getattr(network, "channels", 1) == 1 else 3):
        raise ValueError(f"the mixture is {tuple(mixture.shape)}: trace wants (batch, time), of a "
                         "stereo network (batch, channel, time)")
    rows = [("mixture", "mixture", tuple(mixture.shape))]
    with torch.no_grad(), _watched(network, rows):
        network.eval()(mixture)
    letters = _letters(network, rows)
    return pd.DataFrame([_row(*row, letters) for row in rows])


@contextmanager
def _watched(network: nn.Module, rows: list) -> Iterator[None]:
    """While it lasts, every module and step of the network writes its results into `rows`."""
    def hook(name: str):
        def note(module, inputs, output):
            several = isinstance(output, tuple)
            for i, y in enumerate(output if several else (output,)):
                if isinstance(y, Tensor):
                    suffix = f"[{i}]" if several else ""
                    rows.append((name + suffix, re.sub(r"\.?\d+", "", name) + suffix,
                                 tuple(y.shape)))
        return note

    def step(name: str):
        method = getattr(network, name)

        def noted(*args):
            if name == "decode":
                rows.append(("masked", "masked", tuple(args[0].shape)))
            output = method(*args)
            rows.append((name, name, tuple(output.shape)))
            return output
        return noted

    steps = [name for name in ("encode", "masks", "decode") if hasattr(network, name)]
    modes = {module: module.training for module in network.modules()}
    handles = [m.register_forward_hook(hook(name)) for name, m in network.named_modules() if name]
    for name in steps:
        setattr(network, name, step(name))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
        for name in steps:
            delattr(network, name)


def _letters(network: nn.Module, rows: list) -> dict[str, int]:
    """What each letter stands for, in this network and for this mixture."""
    shapes = {origin: shape for _, origin, shape in rows}
    c = network.config
    letters = {key: value for key, value in c.items() if type(value) is int}
    letters |= {"batch": shapes["mixture"][0], "T": shapes["mixture"][-1], "S": c["n_sources"],
                "M": c.get("Sc") or c.get("B"), "W": 1 if network.causal else 2}     # see _plain
    if "encode" in shapes:
        letters["K"] = shapes["encode"][1]
    if "tcn.paths.within" in shapes:
        letters["C"] = shapes["tcn.paths.within"][1]
    return letters


def _row(tensor: str, origin: str, shape: tuple, letters: dict) -> dict:
    paper, axes = {**STEPS, **MODULES}.get(origin, ("", ""))
    if origin == "tcn" and not letters.get("Sc"):
        paper = "last output"
    try:
        sizes = [_value(axis, letters) for axis in axes.split()]
    except KeyError:                          # a letter that this network does not have
        sizes = []
    if axes and tuple(sizes) != shape:        # not what the table knows under this name
        axes, sizes = "", []
    axes = " x ".join(_plain(axis, letters) for axis in axes.split())
    return {"tensor": tensor, "paper": paper, "axes": axes,
            "sizes": " x ".join(map(str, sizes)), "shape": shape,
            "numbers": torch.Size(shape).numel()}


def _plain(axis: str, letters: dict) -> str:
    """An axis in the network's own letters: M is Sc, or B without skips; W is one way or two."""
    own = {"M": "Sc" if letters.get("Sc") else "B", "W*H": "2*H" if letters["W"] == 2 else "H"}
    return own.get(axis, axis)


def _value(axis: str, letters: dict) -> int:
    """The number that `B+Sc` or `S*N` stands for."""
    product = 1
    for factor in axis.split("*"):
        product *= sum(int(term) if term.isdigit() else letters[term]
                       for term in factor.split("+"))
    return product
