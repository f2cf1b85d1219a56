"""Judges of chapter 4: lengths, masks, depthwise convolution, receptive field, cLN, sub-modules."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-4, rtol=1e-4)


def _first_match(answer: Tensor, mistakes: dict[str, Tensor]) -> str | None:
    """The diagnosis of the mistake that gives just this answer."""
    return next((says for says, wrong in mistakes.items() if _close(answer, wrong)), None)


class Refused(Exception):
    """What the judge's network says to a length it does not accept."""


def judge_any_length(any_length) -> str | None:
    """04.1: any_length(network, mixture (batch, time), multiple) -> (batch, source, time)."""
    def network(x):
        if x.shape[-1] % 16:
            raise Refused(x.shape[-1])
        return torch.stack([x, -2 * x], dim=1)

    for time in (83, 80, 5):
        mixture = _randn(3, time)
        right = torch.stack([mixture, -2 * mixture], dim=1)
        try:
            answer = any_length(network, mixture.clone(), 16)
        except Refused as refused:
            return (f"for {time} samples the network was given {refused}, which is no multiple of "
                    "16: append -time % multiple zeros")
        if answer.shape[:-1] != right.shape[:-1]:
            return f"it returns {tuple(answer.shape)} for a mixture {(3, time)} and two sources"
        if answer.shape[-1] > time:
            return f"{time} samples in, {answer.shape[-1]} out: trim the padding off again"
        if answer.shape[-1] < time:
            return (f"{time} samples in, {answer.shape[-1]} out: the mixture was cut down to a "
                    "multiple, and its end is lost; pad it up to the next one")
        if not _close(answer, right):
            return ("the length is right but the signal is shifted: pad and trim at the SAME end, "
                    "a delay of a few samples costs many dB")
    return None


def judge_to_masks(to_masks) -> str | None:
    """04.2: to_masks(channels (batch, S N, K), S) -> masks (batch, S, N, K), summing to one."""
    S, N, K = 3, 4, 5
    channels = _randn(2, S * N, K)
    raw = channels.unflatten(1, (S, N))
    answer = to_masks(channels.clone(), S)
    if answer.shape != raw.shape:
        return f"it returns {tuple(answer.shape)}, not (batch, S, N, K) = {tuple(raw.shape)}"
    interleaved = channels.unflatten(1, (N, S)).transpose(1, 2)
    through_time = channels.reshape(2, S, K, N).transpose(2, 3)
    mistakes = {
        "the order is right, but these are the raw numbers: no softmax was taken": raw,
        "a sigmoid looks at each number alone: the masks do not sum to one": raw.sigmoid(),
        "the softmax runs over the filters: each SOURCE's mask sums to one, not each filter's "
        "share over the sources": raw.softmax(2),
        "the softmax runs over time: dim should be the source's axis": raw.softmax(3),
        "the softmax runs over the batch: utterances should not know of each other": raw.softmax(0),
        "channels were split as (N, S): source 1 got every third channel instead of the first "
        "N; split as (S, N)": interleaved.softmax(1),
        "channels and frames got mixed: a reshape to (batch, S, K, N) reads the memory across "
        "time; split axis 1 only": through_time.softmax(1),
    }
    if _close(answer, raw.softmax(1)):
        return None
    if found := _first_match(answer, mistakes):
        return found
    if not _close(answer.sum(1), torch.ones(2, N, K)):
        return "the masks do not sum to one over the sources"
    return "the masks sum to one, but hold other channels than they should"


def _taps(x: Tensor, weight: Tensor, shifts: tuple[int, int, int]) -> Tensor:
    """sum_p w_p x_{k + shift_p}, zeros beyond the ends; x (batch, H, K), weight (H, 1, 3)."""
    K, reach = x.shape[-1], max(map(abs, shifts))
    padded = F.pad(x, (reach, reach))
    return sum(weight[:, :, p] * padded[..., reach + s : reach + s + K]
               for p, s in enumerate(shifts))


def judge_depthwise(depthwise) -> str | None:
    """04.3: depthwise(x (batch, H, K), weight (H, 1, 3), dilation) -> (batch, H, K)."""
    x, weight = _randn(2, 4, 20), _randn(4, 1, 3, seed=1)
    for d in (3, 1):
        right = F.conv1d(x, weight, padding=d, dilation=d, groups=4)
        answer = depthwise(x.clone(), weight.clone(), d)
        if answer.shape != right.shape:
            short = f": {2 * d} frames are missing, pad x with {d} zeros on each side"
            lost = answer.shape == (2, 4, 20 - 2 * d)
            return f"it returns {tuple(answer.shape)}, not {(2, 4, 20)}{short if lost else ''}"
        mixed = right.sum(1, keepdim=True).expand_as(right)
        wrapped = sum(weight[:, :, p] * x.roll((1 - p) * d, -1) for p in range(3))
        mistakes = {
            "dilation 1 and dilation 3 give the same: the taps belong `dilation` frames apart":
                _taps(x, weight, (-1, 0, 1)),
            "the filter is turned round: w_0 belongs to the EARLIER frame, k - d":
                _taps(x, weight, (d, 0, -d)),
            "all taps look back: this is the causal convolution, padded on the left only":
                _taps(x, weight, (-2 * d, -d, 0)),
            "all taps look ahead: the padding is on the right only":
                _taps(x, weight, (0, d, 2 * d)),
            "the channels were summed: depthwise means that each keeps to itself": mixed,
            "the ends see each other: beyond them there are zeros, do not roll": wrapped,
        }
        if _close(answer, right):
            continue
        if found := _first_match(answer, mistakes):
            return found
        if _close(answer[..., d:-d], right[..., d:-d]):
            return "the middle is right, the ends are not: beyond them there are zeros"
        return f"with dilation {d} the values are wrong"
    return None


def judge_samples_seen(samples_seen) -> str | None:
    """04.4: samples_seen(X, R, P, L) -> samples of input that one output frame can see."""
    cases = [(4, 2, 3, 32), (8, 3, 3, 16), (5, 3, 5, 40), (1, 1, 3, 20)]
    mistakes = {
        "that is the number of FRAMES: each further frame brings a hop of L/2 samples":
            lambda X, R, P, L: R * (P - 1) * (2**X - 1) + 1,
        "a hop is L/2, not L: neighbouring frames overlap by half":
            lambda X, R, P, L: R * (P - 1) * (2**X - 1) * L + L,
        "the first frame is missing: it brings L samples of its own":
            lambda X, R, P, L: R * (P - 1) * (2**X - 1) * L / 2,
        "frames times hop forgets half of the last frame: the first one brings a whole L":
            lambda X, R, P, L: (R * (P - 1) * (2**X - 1) + 1) * L / 2,
        "the repeats are missing: R series of blocks, each adding its reach":
            lambda X, R, P, L: (P - 1) * (2**X - 1) * L / 2 + L,
        "the dilations do not go on doubling: every repeat starts again from 1":
            lambda X, R, P, L: (P - 1) * (2 ** (X * R) - 1) * L / 2 + L,
        "1 + 2 + 4 + ... + 2^(X-1) is 2^X - 1, not 2^X":
            lambda X, R, P, L: R * (P - 1) * 2**X * L / 2 + L,
        "P taps reach over P - 1 steps, not P": lambda X, R, P, L: R * P * (2**X - 1) * L / 2 + L,
        "dilations double, so the sum is 2^X - 1: this counts X blocks of dilation 1":
            lambda X, R, P, L: R * (P - 1) * X * L / 2 + L,
    }
    right = [R * (P - 1) * (2**X - 1) * L // 2 + L for X, R, P, L in cases]
    answers = [float(samples_seen(*case)) for case in cases]
    if answers == right:
        return None
    for says, wrong in mistakes.items():
        if answers == [wrong(*case) for case in cases]:
            return says
    if answers == [value / 8000 for value in right]:
        return "that is in seconds: leave it in samples"
    return f"X=4, R=2, P=3, L=32 sees {right[0]} samples, yours says {answers[0]:g}"


def _normalised(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return (x - mean) / (variance.clamp(min=0) + 1e-8).sqrt()


def judge_cumulative_norm(cumulative_norm) -> str | None:
    """04.5: cumulative_norm(x (batch, C, K)) -> the same shape, causal."""
    x = _randn(2, 3, 12) * torch.linspace(0.5, 4, 12) + torch.tensor([[1.0], [-2.0], [4.0]])
    frames = torch.arange(1, 13)
    mean = x.sum(1, keepdim=True).cumsum(-1) / (3 * frames)
    power = x.square().sum(1, keepdim=True).cumsum(-1) / (3 * frames)
    right = _normalised(x, mean, power - mean.square())
    answer = cumulative_norm(x.clone())
    if answer.shape != x.shape:
        return f"it returns {tuple(answer.shape)} for {tuple(x.shape)}: keep the shape"
    own = x.cumsum(-1) / frames
    forgot = 3 * mean
    over_all = _normalised(x, x.mean((1, 2), keepdim=True),
                           x.var((1, 2), keepdim=True, correction=0))
    mistakes = {
        "that is gLN: the statistics run over ALL frames, so frame 0 knows the future": over_all,
        "that is the per-frame norm: nothing is remembered of the frames before":
            _normalised(x, x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)),
        "each channel has its own statistics: cLN takes one mean over all channels so far":
            _normalised(x, own, x.square().cumsum(-1) / frames - own.square()),
        "divided by the variance, not by its square root": (x - mean) / (power - mean.square()),
        "divided by the root mean square: the square of the mean is not subtracted":
            _normalised(x, mean, power),
        "the mean is right, the division by the standard deviation is missing": x - mean,
        "divided but not centred: subtract the mean first":
            _normalised(x, torch.zeros(()), power - mean.square()),
        "the count forgets the channels: up to frame k there are C * (k + 1) numbers":
            _normalised(x, forgot, 3 * power - forgot.square()),
    }
    if _close(answer, right):
        return None
    if found := _first_match(answer, mistakes):
        return found
    future = x.clone()
    future[..., 6:] += 10
    if not _close(cumulative_norm(future)[..., :6], answer[..., :6]):
        return "frame k changes when LATER frames do: cumulate from the first frame on"
    if not torch.isfinite(answer).all():
        return "there is NaN or infinity in it: clamp the variance at 0 and add 1e-8"
    return "it does not look ahead, but mean or variance are not those of frames 0 ... k"


class Probe(nn.Module):
    """A block of the judge's: five weights, and it knows its dilation."""

    def __init__(self, dilation: int):
        super().__init__()
        self.dilation, self.weight = dilation, nn.Parameter(torch.zeros(5))


def judge_make_blocks(make_blocks) -> str | None:
    """04.7: make_blocks(X, R, make_block) -> module that holds all R X blocks, in order."""
    X, R, made = 3, 4, []
    answer = make_blocks(X, R, lambda dilation: made.append(Probe(dilation)) or made[-1])
    if isinstance(answer, (list, tuple, dict)):
        return (f"a plain Python {type(answer).__name__}: PyTorch would neither count nor train "
                "nor save what is in it; use nn.ModuleList")
    if not isinstance(answer, nn.Module):
        return f"it returns {type(answer).__name__}, not a module: use nn.ModuleList"
    held = [module for module in answer.modules() if isinstance(module, Probe)]
    listed = len(answer) if hasattr(answer, "__len__") else len(held)
    expected = [2**x for x in range(X)] * R
    if listed == R * X and len(held) < R * X:
        return (f"{listed} entries, but only {len(held)} different blocks: `[...] * R` repeats the "
                "same objects, so the repeats share their weights; call make_block for each")
    if len(made) == R * X and len(held) < R * X:
        return (f"{len(made)} blocks were made and {len(held)} are held: later ones took the name "
                "of earlier ones; put the repeat into the name, or use nn.ModuleList")
    if len(held) != R * X:
        return f"{len(held)} blocks for X={X}, R={R}: there should be R times X"
    found = [probe.dilation for probe in held]
    if sorted(found) == sorted(expected) and found != expected:
        return (f"the dilations come as {found}: each repeat runs through 1, 2, ... 2^(X-1), so "
                "the loop over repeats is the outer one")
    if found != expected:
        return f"the dilations are {found}, they should be {expected}"
    return None


JUDGES = {"04.1": judge_any_length, "04.2": judge_to_masks, "04.3": judge_depthwise,
          "04.4": judge_samples_seen, "04.5": judge_cumulative_norm, "04.7": judge_make_blocks}
