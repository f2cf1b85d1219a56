"""Judges of chapter 7: a desk that mixes, shapes, augmentation, unlike terms, songs' medians, and
stems that add up."""

import math

import numpy as np
import torch
from torch import Tensor


def _stems(n: int = 4, samples: int = 900, seed: int = 0) -> Tensor:
    """Stereo stems (source, channel, time), every channel another noise."""
    return torch.randn(n, 2, samples, generator=torch.Generator().manual_seed(seed))


def _close(a, b: Tensor, atol: float = 1e-4) -> bool:
    return isinstance(a, Tensor) and a.shape == b.shape and torch.allclose(
        a.float(), b.float(), atol=atol, rtol=1e-3)


def judge_desk(desk) -> str | None:
    """07.1: desk(stems (source, channel, time), gains_db (source,)) -> (mixture, targets)."""
    stems, gains_db = _stems(), torch.tensor([0.0, -6.0, -20.0, 3.0])
    before = stems.clone()
    answer = desk(stems, gains_db.clone())
    if not isinstance(answer, tuple) or len(answer) != 2:
        return "return two things: the mixture and the targets"
    mixture, targets = answer
    if not torch.equal(stems, before):
        return ("the stems that came in are not what they were: somebody's recordings in memory "
                "were changed in place (+=, *=); make new tensors")
    if not isinstance(targets, Tensor) or targets.shape != stems.shape:
        return f"the targets are stems again, shape {tuple(stems.shape)}"
    if not isinstance(mixture, Tensor) or mixture.shape != stems.shape[1:]:
        return f"the mixture is (channel, time) = {tuple(stems.shape[1:])}: add up over the stems"
    right = 10 ** (gains_db / 20)[:, None, None] * stems
    if _close(targets, 10 ** (gains_db / 10)[:, None, None] * stems):
        return "you took the gains for powers: an amplitude changes by 10 ** (dB / 20)"
    if _close(targets, stems) and _close(mixture, right.sum(0)):
        return ("the mixture was mixed with the gains, the targets were not: they do not add up to "
                "it, and the network is asked for what is not there")
    if _close(targets, gains_db[:, None, None] * stems):
        return "a gain in dB is no factor: 10 ** (dB / 20) is"
    if not _close(targets, right):
        return "some target is not its stem times 10 ** (dB / 20)"
    if _close(mixture, right.mean(0)):
        return "that is the mean: a desk adds"
    if not _close(mixture, targets.sum(0)):
        return "the mixture is not the sum of the targets"
    if mixture.untyped_storage().data_ptr() == targets.untyped_storage().data_ptr():
        return "the mixture and a target share their memory: a change of one changes the other"
    return None


def judge_shapes(shapes) -> str | None:
    """07.2: shapes(block, freqs, vertical, horizontal, taps, code) -> list of four shapes."""
    for block, freqs, v, h, taps, code in ((30, 513, 50, 30, 15, 128), (12, 65, 7, 5, 4, 9)):
        answer = shapes(block, freqs, v, h, taps, code)
        if not isinstance(answer, (list, tuple)) or len(answer) != 4:
            return "return four shapes, in order: input, after vertical, after horizontal, code"
        got = [tuple(int(n) for n in (one if isinstance(one, (list, tuple)) else [one]))
               for one in answer]
        late = block - taps + 1
        right = [(2, block, freqs), (v, block, 1), (h, late, 1), (code,)]
        if got[0] == (1, block, freqs):
            return "stereo: the network reads two channels"
        if got[0] in ((2, freqs, block), (block, freqs)):
            return "the input is channels x frames x frequencies"
        if got[1] == (v, block, freqs):
            return ("a vertical filter is as tall as the picture, so there is one place for it a "
                    "frame: one number is left of all frequencies")
        if got[1] == (v, 1, freqs):
            return "vertical runs along the frequencies, and leaves the frames alone"
        if got[2] == (h, block, 1):
            return f"without padding, {taps} taps fit into {block} frames {late} times"
        if got[2] in ((h, block - taps, 1), (h, block // taps, 1)):
            return f"count the places: {taps} taps over {block} frames, wherever they fit"
        names = ("the input", "after vertical", "after horizontal", "the code")
        for name, mine, theirs in zip(names, got, right, strict=True):
            if mine != theirs:
                return f"{name} is {theirs} for block={block}, taps={taps}, not {mine}"
    return None


def judge_swap(augment) -> str | None:
    """07.4: augment(stems (source, channel, time), rng) -> new stems, sides swapped by chance."""
    stems = _stems(samples=200)
    before, swapped = stems.clone(), []
    for seed in range(60):
        answer = augment(stems, np.random.default_rng(seed))
        if not torch.equal(stems, before):
            return "the stems that came in were changed in place: return new ones"
        if not isinstance(answer, Tensor) or answer.shape != stems.shape:
            return f"return stems again, shape {tuple(stems.shape)}"
        flipped = [_close(new, old.flip(0)) for new, old in zip(answer, before, strict=True)]
        kept = [_close(new, old) for new, old in zip(answer, before, strict=True)]
        if any(not (a or b) for a, b in zip(flipped, kept, strict=True)):
            at = next(i for i, pair in enumerate(zip(flipped, kept, strict=True)) if not any(pair))
            if _close(answer[at], before[at].flip(1)):
                return "you turned time round: left and right are the FIRST dimension of a stem"
            return f"stem {at} is neither itself nor itself with left and right exchanged"
        swapped.append(flipped)
    rates, table = np.mean(swapped, axis=0), np.array(swapped)
    if (table == table[:, :1]).all():
        return ("all stems are swapped together: left and right of the song change places, and no "
                "new mixture is made; draw for each stem on its own")
    if not (0.25 < rates).all() or not (rates < 0.75).all():
        return f"each stem should be swapped half of the time; yours are in {rates.round(2)}"
    one, same = augment(stems, np.random.default_rng(5)), augment(stems, np.random.default_rng(5))
    return None if torch.equal(one, same) else \
        "the same generator gives two results: draw from `rng` and from nothing else"


def judge_apart(apart) -> str | None:
    """07.3: apart(D (estimate, source), alpha, beta, beta_vocals) -> DeepConvSep's loss."""
    D = torch.tensor([[1.0, 20.0, 30.0, 500.0], [40.0, 2.0, 60.0, 700.0], [80.0, 90.0, 3.0, 900.0],
                      [11.0, 13.0, 17.0, 4.0]])
    alpha, beta, voice = 0.001, 0.01, 0.03
    answer = torch.as_tensor(apart(D.clone(), alpha, beta, voice))
    if answer.numel() != 1:
        return "return one number: everything is added up"
    own, others = D.diagonal()[:3].sum(), D[:3, :3].sum() - D.diagonal()[:3].sum()
    rest = beta * D[1:3, 3].sum() + voice * D[0, 3]
    right = own - alpha * others - rest
    for wrong, diagnosis in (
        (own, "nothing keeps the estimates apart yet: subtract the unlike terms"),
        (own + alpha * others + rest, "you ADD the distances to the others: the loss would fall "
                                      "when an estimate comes nearer to the wrong stem"),
        (D.diagonal().sum() - alpha * others - rest,
         "`other`, the last stem, has no distance of its own: too varied to be learnt, it is what "
         "the masks leave over"),
        (own - alpha * others - beta * D[:3, 3].sum(), "the vocals have a weight of their own "
                                                       "towards `other`: beta_vocals"),
        (own - alpha * (D[:3].sum() - own), "towards `other` the weight is beta (beta_vocals for "
                                            "the vocals), not alpha"),
        (own - alpha * (D.sum() - D.diagonal().sum() - D[:3, 3].sum()) - rest,
         "the last ROW is the estimate of `other`: it has no terms at all"),
        (own - alpha * (others + own) - rest, "the own distances are among those you subtract"),
    ):
        if math.isclose(float(answer), float(wrong), rel_tol=1e-5):
            return diagnosis
    return None if math.isclose(float(answer), float(right), rel_tol=1e-5) else \
        f"for the example it is {float(right):.3f}, yours is {float(answer):.3f}"


def judge_median(song_figure) -> str | None:
    """07.5: song_figure([frames (frame,) of song 1, of song 2, ...]) -> one SDR in dB."""
    nan = math.nan
    songs = [np.array([5.0, nan, 4.0, 6.0, 30.0]), np.array([3.0, nan, nan, 4.0, 9.0]),
             np.array([1.0, 2.2, 2.6, 2.4, 1.0, 0.0, 2.2])]
    found = float(song_figure([song.copy() for song in songs]))
    medians = [float(np.nanmedian(song)) for song in songs]
    right, everything = float(np.median(medians)), np.concatenate(songs)
    if math.isnan(found):
        return ("NaN: a second in which the stem is silent has no figure; leave it out "
                "(np.nanmedian)")
    for wrong, diagnosis in (
        (float(np.nanmedian(everything)),
         "that is the median of all seconds: a long song would count more than a short one; one "
         "figure a song first"),
        (float(np.nanmean(everything)),
         "that is a mean over all seconds: medians, first in a song, then over the songs"),
        (float(np.mean(medians)), "over the songs, too, it is the median"),
        (float(np.median([np.nanmean(song) for song in songs])),
         "inside a song it is the median: a single second at 30 dB lifts a mean"),
        (float(np.median([np.median(np.nan_to_num(song)) for song in songs])),
         "a second without a figure is not 0 dB: leave it out"),
    ):
        if math.isclose(found, wrong, abs_tol=1e-6):
            return diagnosis
    return None if math.isclose(found, right, abs_tol=1e-6) else \
        f"for three songs with the medians {medians} it is {right}, yours is {found:.3g}"


def judge_adds_up(adds_up) -> str | None:
    """07.6: adds_up(estimates (source, channel, time), mixture) -> estimates that sum to it."""
    truth = _stems()
    mixture = truth.sum(0)
    estimates = 0.7 * truth + 0.2 * _stems(seed=1)
    before = estimates.clone()
    answer = adds_up(estimates, mixture.clone())
    if not torch.equal(estimates, before):
        return "the estimates that came in were changed in place: return new ones"
    if not isinstance(answer, Tensor) or answer.shape != estimates.shape:
        return f"return stems again, shape {tuple(estimates.shape)}"
    missing = mixture - estimates.sum(0)
    if _close(answer, estimates):
        return "nothing changed: they do not add up to the mixture yet"
    if _close(answer, estimates + missing):
        return "you gave ALL that is missing to every stem: they share it"
    if _close(answer, estimates - missing / len(estimates)):
        return "the sign: what is missing is the mixture minus the sum"
    if not _close(answer.sum(0), mixture, atol=1e-3):
        return "they still do not add up to the mixture"
    if _close(answer[:-1], estimates[:-1]):
        return "one stem took all that was missing: share it out evenly"
    scaled = estimates * (mixture / estimates.sum(0))
    if _close(answer, scaled):
        return ("you scaled, sample by sample: where the sum is near 0 that explodes; ADD an equal "
                "share of what is missing")
    return None if _close(answer, estimates + missing / len(estimates), atol=1e-3) else \
        "they add up, but not by equal shares of what was missing"


JUDGES = {"07.1": judge_desk, "07.2": judge_shapes, "07.3": judge_apart, "07.4": judge_swap,
          "07.5": judge_median, "07.6": judge_adds_up}
