"""Judges of chapter 03's exercises: joint masks, phase, correlation, discrimination, matching,
blocks, and what a ReLU forbids."""

import math
from itertools import permutations

import torch
from torch import Tensor

from sep_helpers.stft import stft


def _noise(*shape, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _close(a: Tensor, b: Tensor, atol: float = 1e-4) -> bool:
    return a.shape == b.shape and torch.allclose(a, b.to(a), atol=atol, rtol=1e-3)


def judge_joint(joint_mask) -> str | None:
    """03.4: joint_mask(y (source, freq, frame)) -> |y_i| / sum_j |y_j|, never NaN."""
    y = _noise(3, 5, 7)
    answer = joint_mask(y.clone())
    if not isinstance(answer, Tensor) or answer.shape != y.shape:
        return f"return a mask for every source, shape {tuple(y.shape)}"
    size = y.abs()
    if _close(answer, y / y.sum(0)):
        return "take the sizes, y.abs(): without them masks turn negative, and their sum may be 0"
    if _close(answer, torch.softmax(y, 0)):
        return "that is a softmax: here the shares are of |y| itself, with no exponential"
    if _close(answer, y.square() / y.square().sum(0)):
        return "you shared out the squares, as the Wiener-like mask does: here it is the sizes"
    if _close(answer, size / size.amax(0)):
        return "you divided by the loudest source: divide by the sum over the sources"
    if _close(answer, size / size.sum()) or _close(answer, size / size.sum((1, 2), keepdim=True)):
        return "the sum is over the sources of each bin, dim 0, and over nothing else"
    if not _close(answer, size / size.sum(0)):
        return "in some bin the masks are not |y_i| / sum_j |y_j|"
    y[:, 2, 3] = 0
    if joint_mask(y).isnan().any():
        return "where every y is 0 your mask is NaN: keep the divisor above a tiny number"
    return None


def judge_phase_target(phase_target) -> str | None:
    """03.2: phase_target(S, Y complex (freq, frame)) -> |S| cos(phase S - phase Y), real."""
    S, N = (stft(_noise(2000, seed=k)) for k in (1, 2))
    Y = S + N
    answer = phase_target(S.clone(), Y.clone())
    if not isinstance(answer, Tensor) or answer.shape != S.shape:
        return f"return a target for every bin, shape {tuple(S.shape)}"
    if answer.is_complex():
        return "the target is a length, so a real number: take the real part, or a cosine"
    right = S.abs() * torch.cos(S.angle() - Y.angle())
    for wrong, diagnosis in (
        (S.abs(), "that is the whole size of S: a mask on Y cannot turn it, multiply by the cosine "
                  "of the angle between S and Y"),
        (right / Y.abs(), "that is the mask: the target is what the mask times |Y| should be"),
        (Y.abs() * torch.cos(S.angle() - Y.angle()), "the length is that of S, not of Y"),
        (S.abs() * torch.sin(S.angle() - Y.angle()),
         "the sine is the part of S at a right angle to Y, the one no mask can reach: cosine"),
        (S.real, "the angle is measured from Y, not from the real axis"),
        (right.clamp(min=0), "keep the negative ones: the source points away from the mixture "
                             "there, and what the mask can do about that is its own affair"),
        (right.abs(), "keep the sign: where the source points away from the mixture the target is "
                      "negative"),
    ):
        if _close(answer, wrong):
            return diagnosis
    if answer.isnan().any():
        return "NaN where a bin is silent: multiply with the conjugate, do not divide by 0"
    return None if _close(answer, right) else "in some bin it is not |S| cos(angle S - angle Y)"


def judge_correlation(correlation) -> str | None:
    """03.3: correlation(estimate, source (batch, time)) -> 1 - Pearson's rho, (batch,)."""
    s, n = _noise(4, 500, seed=1) + 0.5, _noise(4, 500, seed=2) - 0.3
    e = 0.3 * s + torch.tensor([0.1, 0.5, 1.0, 2.0]).unsqueeze(1) * n
    answer = correlation(e.clone(), s.clone())
    rho = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1]
                       for pair in zip(e, s, strict=True)])
    if not isinstance(answer, Tensor) or answer.shape != (4,):
        return "return one number for each mixture of the batch, shape (batch,)"
    flat = torch.corrcoef(torch.stack([e.flatten(), s.flatten()]))[0, 1]
    cosine = torch.nn.functional.cosine_similarity(e, s)
    for wrong, diagnosis in (
        (rho, "that is rho: as a loss it has to be small when they are alike, 1 - rho"),
        (-rho, "-rho has the right direction, but 1 - rho is asked for: 0 at best"),
        (1 - cosine, "subtract the means first: an offset is no likeness"),
        (1 - cosine.abs(), "subtract the means first, and keep the sign"),
        (1 - rho.square(), "rho squared is blind to the sign, to what is upside down"),
        ((1 - flat).expand(4), "you took the whole batch as one row: each mixture has its own"),
    ):
        if _close(answer, wrong):
            return diagnosis
    if not _close(answer, 1 - rho):
        return f"for the first mixture 1 - rho is {1 - rho[0]:.3f}, yours says {answer[0]:.3f}"
    return None if correlation(torch.zeros(1, 9), torch.ones(1, 9)).isfinite().all() else \
        "silence gives NaN or infinity: keep the divisor above a tiny number"


def judge_discriminative(discriminative) -> str | None:
    """03.5: discriminative(D (estimate, source), gamma) -> own distances - gamma x the others."""
    D, gamma = torch.tensor([[1.0, 20.0, 300.0], [4000.0, 2.0, 50.0], [6.0, 70.0, 3.0]]), 0.1
    answer = discriminative(D.clone(), gamma)
    if torch.as_tensor(answer).numel() != 1:
        return "return one number: everything is added up"
    value = float(answer)
    own, everything = D.diagonal().sum().item(), D.sum().item()
    others = everything - own
    for wrong, diagnosis in (
        (own, "the other sources do not count yet: subtract gamma times their distances"),
        (own + gamma * others, "you ADD the distances to the other sources: the loss would fall "
                               "when an estimate comes nearer to the wrong voice"),
        (own - gamma * everything, "the own source is among those you subtract: take it out"),
        (own - others, "gamma is missing: it weighs the others"),
        (gamma * own - others, "gamma stands at the wrong sum: it weighs the other sources"),
        (others - gamma * own, "you swapped the two sums: the diagonal holds the own distances"),
    ):
        if math.isclose(value, wrong, rel_tol=1e-4):
            return diagnosis
    right = own - gamma * others
    return None if math.isclose(value, right, rel_tol=1e-4) else \
        f"for the example it should be {right:.1f}, yours is {value:.1f}"


def judge_min_loss(min_loss) -> str | None:
    """03.1: min_loss(D (batch, estimate, source)) -> (batch,): the best matching of each."""
    D = _noise(6, 3, 3, seed=5).abs()
    pairings = torch.stack([D[:, range(3), list(p)].mean(1) for p in permutations(range(3))])
    right = pairings.min(0).values
    answer = torch.as_tensor(min_loss(D.clone()))
    for_all = pairings[pairings.mean(1).argmin()]
    if answer.numel() == 1 and _close(answer.reshape(()), for_all.mean()):
        return ("one matching serves the whole batch, the fault you are looking for: choose before "
                "you average over the batch")
    if answer.shape != (6,):
        return "return the loss of every mixture of the batch, shape (batch,)"
    for wrong, diagnosis in (
        (for_all, "one matching serves the whole batch, the fault you are looking for"),
        (D.min(2).values.mean(1), "two estimates may have taken the same source: compare whole "
                                  "permutations, not each estimate on its own"),
        (D.min(1).values.mean(1), "two sources may have taken the same estimate: compare whole "
                                  "permutations, not each source on its own"),
        (pairings.max(0).values, "you took the worst matching: a loss wants the smallest"),
        (pairings[0], "the order is never changed: try all permutations of the sources"),
        (3 * right, "divide by the number of sources: the mean, not the sum"),
    ):
        if _close(answer, wrong):
            return diagnosis
    return None if _close(answer, right) else \
        "in some mixture there is a matching with a smaller mean: try all n! of them"


def judge_blocks(in_blocks) -> str | None:
    """03.7: in_blocks(network, x (frame, freq), size) -> (frame, freq), whatever the length."""
    seen = []

    def network(blocks: Tensor) -> Tensor:           # (blocks, size, freq) -> the same
        if blocks.dim() != 3 or blocks.shape[1] != 10:
            raise ValueError(f"the network takes (blocks, 10, freq), not {tuple(blocks.shape)}")
        seen.append(len(blocks))
        return 2 * blocks

    for frames in (30, 23, 4):
        x = _noise(frames, 3, seed=frames)
        seen.clear()
        answer = in_blocks(network, x.clone(), 10)
        if not isinstance(answer, Tensor) or answer.dim() != 2:
            return "return what came in, shape (frame, freq)"
        if len(answer) == frames // 10 * 10 and frames % 10:
            return (f"of {frames} frames {len(answer)} came out: the last block is not full, and "
                    "you dropped it; fill it up with zeros")
        if len(answer) == -(-frames // 10) * 10 and frames % 10:
            return f"{frames} frames became {len(answer)}: cut off what you filled up with"
        if not _close(answer, 2 * x):
            return "the frames come out in another order than they went in, or changed"
        if sum(seen) > -(-frames // 10):
            return (f"{frames} frames took {sum(seen)} blocks of 10: blocks follow each other, "
                    "they do not overlap here")
    return None


def judge_forbidden(forbidden) -> str | None:
    """03.6: forbidden(S, Y complex (freq, frame)) -> share of parts a mask >= 0 cannot reach."""
    S, N = (stft(_noise(4000, seed=k)) for k in (1, 2))
    Y = S + 2 * N
    parts = torch.stack([S.real * Y.real, S.imag * Y.imag])
    right = (parts < 0).float().mean().item()
    answer = torch.as_tensor(forbidden(S.clone(), Y.clone()))
    if answer.numel() != 1:
        return "return one number, a share between 0 and 1"
    value = float(answer)
    for wrong, diagnosis in (
        (1 - right, "that is the share it CAN reach"),
        (100 * right, "a share lies between 0 and 1: do not multiply by 100"),
        (2 * right, "divide by the number of parts: every bin has two of them"),
        ((parts[0] < 0).float().mean().item(), "count the imaginary parts, too"),
        ((parts < 0).all(0).float().mean().item(), "count every part on its own: it is enough if "
                                                   "one of the two has the wrong sign"),
        ((parts < 0).any(0).float().mean().item(), "you counted bins with a wrong part: count the "
                                                   "parts themselves"),
        ((S.abs() > Y.abs()).float().mean().item(), "a ReLU has no upper limit: sizes do not "
                                                    "matter, only signs"),
    ):
        if abs(value - wrong) < 1e-4:
            return diagnosis
    return None if abs(value - right) < 2e-3 else \
        f"here it is {right:.3f}, you say {value:.3f}: compare the signs of S and Y, part by part"


JUDGES = {"03.1": judge_min_loss, "03.2": judge_phase_target, "03.3": judge_correlation,
          "03.4": judge_joint, "03.5": judge_discriminative, "03.6": judge_forbidden,
          "03.7": judge_blocks}
