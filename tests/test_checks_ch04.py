"""The judges of chapter 4: right answers pass, each wrong one gets its own diagnosis."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sep_helpers.checks import diagnose


def stub(*_):
    raise NotImplementedError


# --- 04.1

def any_length(network, x, multiple):
    return network(F.pad(x, (0, -x.shape[-1] % multiple)))[..., : x.shape[-1]]


def untrimmed(network, x, multiple):
    return network(F.pad(x, (0, -x.shape[-1] % multiple)))


def cut_down(network, x, multiple):
    return network(x[..., : x.shape[-1] // multiple * multiple])


def padded_in_front(network, x, multiple):
    return network(F.pad(x, (-x.shape[-1] % multiple, 0)))[..., : x.shape[-1]]


def generous(network, x, multiple):
    return network(F.pad(x, (0, multiple - x.shape[-1] % multiple)))[..., : x.shape[-1]]


# --- 04.2

def to_masks(channels, S):
    return channels.unflatten(1, (S, -1)).softmax(1)


# --- 04.3

def depthwise(x, weight, d):
    K, padded = x.shape[-1], F.pad(x, (d, d))
    return sum(weight[:, :, p] * padded[..., p * d : p * d + K] for p in range(3))


def by_groups(x, weight, d, padding="same"):
    return F.conv1d(x, weight, dilation=d, padding=padding, groups=x.shape[1])


def repeating_the_ends(x, weight, d):
    return by_groups(F.pad(x, (d, d), mode="replicate"), weight, d, 0)


# --- 04.4

def field(X, R, P, L):
    return R * (P - 1) * (2**X - 1) * L // 2 + L


# --- 04.5

def cumulative(x, channels=None):
    count = (channels or x.shape[1]) * torch.arange(1, x.shape[2] + 1)
    mean = x.sum(1, keepdim=True).cumsum(-1) / count
    variance = x.square().sum(1, keepdim=True).cumsum(-1) / count - mean.square()
    return x, mean, variance.clamp(min=0) + 1e-8


def cln(x):
    x, mean, variance = cumulative(x)
    return (x - mean) / variance.sqrt()


def cln_frame_by_frame(x):
    """From the definition, without a cumulative sum."""
    frames = [(x[..., k] - x[..., : k + 1].mean((1, 2), keepdim=True)[..., 0])
              / x[..., : k + 1].std((1, 2), keepdim=True, correction=0)[..., 0]
              for k in range(x.shape[-1])]
    return torch.stack(frames, -1)


def over(x, dims):
    return (x - x.mean(dims, keepdim=True)) / x.std(dims, keepdim=True, correction=0)


def channel_by_channel(x):
    return torch.cat([cln(x[:, c : c + 1]) for c in range(x.shape[1])], 1)


def without_sqrt(x):
    x, mean, variance = cumulative(x)
    return (x - mean) / variance


def without_channels(x):
    x, mean, variance = cumulative(x, channels=1)
    return (x - mean) / variance.sqrt()


def by_rms(x):
    x, mean, variance = cumulative(x)
    return (x - mean) / (variance + mean.square()).sqrt()


# --- 04.7

def make_blocks(X, R, make):
    return nn.ModuleList(make(2**x) for _ in range(R) for x in range(X))


def named(X, R, make):
    module = nn.Module()
    for _ in range(R):
        for x in range(X):
            module.add_module(f"block_{x}", make(2**x))
    return module


def named_with_repeat(X, R, make):
    module = nn.Module()
    for r in range(R):
        for x in range(X):
            module.add_module(f"block_{r}_{x}", make(2**x))
    return module


@pytest.mark.parametrize("exercise, answer, verdict", [
    ("04.1", any_length, "pass"),
    ("04.1", generous, "pass"),
    ("04.1", stub, "not attempted"),
    ("04.1", lambda network, x, multiple: network(x), "the network was given 83"),
    ("04.1", untrimmed, "83 samples in, 96 out"),
    ("04.1", cut_down, "83 samples in, 80 out"),
    ("04.1", padded_in_front, "shifted"),
    ("04.1", lambda *a: any_length(*a)[:, 0], "two sources"),
    ("04.2", to_masks, "pass"),
    ("04.2", lambda c, S: torch.stack(c.chunk(S, 1), 1).softmax(1), "pass"),
    ("04.2", stub, "not attempted"),
    ("04.2", lambda c, S: c.unflatten(1, (S, -1)), "no softmax"),
    ("04.2", lambda c, S: c.unflatten(1, (S, -1)).sigmoid(), "sigmoid"),
    ("04.2", lambda c, S: c.unflatten(1, (S, -1)).softmax(2), "over the filters"),
    ("04.2", lambda c, S: c.unflatten(1, (S, -1)).softmax(-1), "over time"),
    ("04.2", lambda c, S: c.unflatten(1, (S, -1)).softmax(0), "over the batch"),
    ("04.2", lambda c, S: c.unflatten(1, (-1, S)).softmax(2), "it returns (2, 4, 3, 5)"),
    ("04.2", lambda c, S: c.unflatten(1, (-1, S)).transpose(1, 2).softmax(1), "split as (N, S)"),
    ("04.2", lambda c, S: c.reshape(len(c), S, c.shape[-1], -1).transpose(2, 3).softmax(1),
     "channels and frames got mixed"),
    ("04.2", lambda c, S: c.softmax(1).unflatten(1, (S, -1)), "do not sum to one"),
    ("04.2", lambda c, S: to_masks(c, S).flip(1), "other channels"),
    ("04.3", depthwise, "pass"),
    ("04.3", by_groups, "pass"),
    ("04.3", stub, "not attempted"),
    ("04.3", lambda x, w, d: by_groups(x, w, d, 0), "6 frames are missing"),
    ("04.3", lambda x, w, d: by_groups(x, w, 1), "give the same"),
    ("04.3", lambda x, w, d: by_groups(x, w.flip(-1), d), "turned round"),
    ("04.3", lambda x, w, d: by_groups(F.pad(x, (2 * d, 0)), w, d, 0), "causal"),
    ("04.3", lambda x, w, d: by_groups(F.pad(x, (0, 2 * d)), w, d, 0), "look ahead"),
    ("04.3", lambda x, w, d: depthwise(x, w, d).sum(1, keepdim=True).expand_as(x), "were summed"),
    ("04.3", lambda x, w, d: sum(w[:, :, p] * x.roll((1 - p) * d, -1) for p in range(3)), "roll"),
    ("04.3", repeating_the_ends, "the ends are not"),
    ("04.3", lambda x, w, d: 2 * by_groups(x, w, d), "values are wrong"),
    ("04.4", field, "pass"),
    ("04.4", lambda X, R, P, L: torch.tensor(field(X, R, P, L)), "pass"),
    ("04.4", stub, "not attempted"),
    ("04.4", lambda X, R, P, L: R * (P - 1) * (2**X - 1) + 1, "FRAMES"),
    ("04.4", lambda X, R, P, L: R * (P - 1) * (2**X - 1) * L + L, "a hop is L/2"),
    ("04.4", lambda X, R, P, L: R * (P - 1) * (2**X - 1) * L / 2, "first frame is missing"),
    ("04.4", lambda X, R, P, L: field(X, R, P, L) - L / 2, "half of the last frame"),
    ("04.4", lambda X, R, P, L: field(X, 1, P, L), "repeats are missing"),
    ("04.4", lambda X, R, P, L: field(X * R, 1, P, L), "starts again from 1"),
    ("04.4", lambda X, R, P, L: R * (P - 1) * 2**X * L / 2 + L, "not 2^X"),
    ("04.4", lambda X, R, P, L: field(X, R, P + 1, L), "P - 1 steps"),
    ("04.4", lambda X, R, P, L: R * (P - 1) * X * L / 2 + L, "dilation 1"),
    ("04.4", lambda X, R, P, L: field(X, R, P, L) / 8000, "in seconds"),
    ("04.4", lambda X, R, P, L: 7, "sees 992 samples, yours says 7"),
    ("04.5", cln, "pass"),
    ("04.5", cln_frame_by_frame, "pass"),
    ("04.5", stub, "not attempted"),
    ("04.5", lambda x: over(x, (1, 2)), "that is gLN"),
    ("04.5", lambda x: over(x, 1), "per-frame norm"),
    ("04.5", channel_by_channel, "each channel has its own"),
    ("04.5", without_sqrt, "not by its square root"),
    ("04.5", by_rms, "root mean square"),
    ("04.5", lambda x: x - cumulative(x)[1], "standard deviation is missing"),
    ("04.5", lambda x: x / cumulative(x)[2].sqrt(), "not centred"),
    ("04.5", without_channels, "forgets the channels"),
    ("04.5", lambda x: cln(x.flip(-1)).flip(-1), "LATER frames"),
    ("04.5", lambda x: cln(x)[..., 1:], "keep the shape"),
    ("04.5", lambda x: 2 * cln(x), "does not look ahead, but"),
    ("04.5", lambda x: cln(x) / 0, "NaN or infinity"),
    ("04.7", make_blocks, "pass"),
    ("04.7", named_with_repeat, "pass"),
    ("04.7", lambda X, R, make: nn.Sequential(*make_blocks(X, R, make)), "pass"),
    ("04.7", stub, "not attempted"),
    ("04.7", lambda X, R, make: list(make_blocks(X, R, make)), "plain Python list"),
    ("04.7", named, "took the name"),
    ("04.7", lambda X, R, make: nn.ModuleList([make(2**x) for x in range(X)] * R), "share"),
    ("04.7", lambda X, R, make: make_blocks(X, 1, make), "3 blocks for X=3, R=4"),
    ("04.7", lambda X, R, make: nn.ModuleList(make(2**x) for x in range(X) for _ in range(R)),
     "the outer one"),
    ("04.7", lambda X, R, make: nn.ModuleList(make(x) for _ in range(R) for x in range(X)),
     "the dilations are [0, 1, 2"),
    ("04.7", lambda X, R, make: (block for block in make_blocks(X, R, make)), "returns generator"),
])
def test_each_answer_gets_its_verdict(exercise, answer, verdict):
    found = diagnose(exercise, answer)
    assert found == verdict if verdict in ("pass", "not attempted") else verdict in found
    assert "\n" not in found
