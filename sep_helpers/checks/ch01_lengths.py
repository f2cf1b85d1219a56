"""Judges of chapter 01's exercises on lengths: segments and their tails, padding and the loss."""

import numpy as np
import torch


def judge_segments(segments) -> str | None:
    """01.3: segments(samples, length) -> [(start, stop)]: every sample used, all of `length`."""
    for samples in (40, 32, 35, 17, 16):
        try:
            spans = [(int(start), int(stop)) for start, stop in segments(samples, 16)]
        except (TypeError, ValueError):
            return "return a list of pairs (start, stop)"
        fault = _wrong_segments(spans, samples, 16)
        if fault:
            return f"{samples} samples in segments of 16 came out as {spans}: {fault}"
    spans = [tuple(map(int, span)) for span in segments(10, 16)]
    if not spans:
        return "a recording shorter than a segment is lost: it is one segment, (0, samples)"
    if spans != [(0, 10)]:
        return (f"a recording of 10 samples came out as {spans}, with segments of 16: it is one "
                "segment, (0, 10), that will be padded")
    return None


def _wrong_segments(spans: list, samples: int, length: int) -> str | None:
    """What is wrong with the segments of a recording of at least one segment's length."""
    if any(start < 0 for start, _ in spans):
        return "a segment begins before the recording: count the last one back from its end"
    if any(stop > samples for _, stop in spans):
        return "a segment runs past the end: count the last one back from the end"
    if len(spans) != len(set(spans)):
        return "a segment comes twice: where nothing is left, there is no further one"
    last = max((stop for _, stop in spans), default=0)
    if last < samples:
        return f"the tail is lost: the samples from {last} on are never used"
    if any(stop - start != length for start, stop in spans):
        return (f"a segment is not {length} long: the last one begins earlier, at samples - length")
    heard = np.zeros(samples, int)
    for start, stop in spans:
        heard[start:stop] += 1
    if not heard.all():
        return f"sample {heard.argmin()} is never used: a segment begins where the one before stops"
    if len(spans) > -(-samples // length) or heard[:-length].max(initial=0) > 1:
        return "segments overlap that need not: only the last one may"
    return None


def judge_padding(mse) -> str | None:
    """01.6: mse(estimates, targets, lengths), (batch, time) each and (batch,) -> (batch,)."""
    rng = torch.Generator().manual_seed(6)
    targets, estimates = torch.randn(2, 3, 400, generator=rng)
    lengths = torch.tensor([400, 250, 100])
    for row, length in enumerate(lengths.tolist()):
        targets[row, length:] = 0        # the padding, where a network may say anything
    errors = [(e - t).square() for e, t in zip(estimates, targets, strict=True)]
    right = torch.stack([e[:n].mean() for e, n in zip(errors, lengths, strict=True)])
    whole = torch.stack([e.mean() for e in errors])
    inside = torch.stack([e[:n].sum() for e, n in zip(errors, lengths, strict=True)])
    got = torch.as_tensor(mse(estimates.clone(), targets.clone(), lengths.clone()))
    if got.shape != (3,):
        return (f"return one number a mixture, shape (3,), not {tuple(got.shape)}: sum over time "
                "alone")
    diagnoses = [
        (whole, "the padding counts: what the estimate says there is an error to you"),
        (inside / 400, "you leave the padding out of the sum and not out of the mean: divide by "
                       "the lengths, not by the batch's length"),
        (torch.stack([e[:100].mean() for e in errors]), "all are cut to the shortest: each has a "
                                                        "length of its own"),
        (inside, "that is the sum of the squares: divide by the lengths"),
        (right.mean().expand(3), "all three are the same: average over time, not over the batch"),
    ]
    for wrong, diagnosis in diagnoses:
        if torch.allclose(got, wrong, rtol=1e-4):
            return diagnosis
    if not torch.allclose(got, right, rtol=1e-4):
        return f"the first, which has no padding, should be {right[0]:.3f}, not {got[0]:.3f}" if (
            abs(got[0] - right[0]) > 1e-3) else "those with padding are wrong: mask, sum, divide"
    return None
