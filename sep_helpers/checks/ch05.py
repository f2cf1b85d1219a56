"""Judges of chapter 5: permutations, the loss, the schedule, checkpoints."""

import tempfile
from pathlib import Path

import torch

from sep_helpers.losses import si_snr
from sep_helpers.permutation import all_permutations, pairwise, pit, reorder


def _batch(n_sources: int = 2, batch: int = 4):
    """Noisy estimates; all utterances but the first have them in another order."""
    g = torch.Generator().manual_seed(n_sources)
    sources = torch.randn(batch, n_sources, 800, generator=g)
    estimates = sources + 0.3 * torch.randn(sources.shape, generator=g)
    estimates[1:] = estimates[1:].roll(1, dims=1)
    return estimates, sources


def judge_pit_loss(pit_loss) -> str | None:
    """05.1: pit_loss(estimates, sources) -> one number to minimise."""
    estimates, sources = _batch()
    right = -pit(estimates, sources)[0].mean().item()
    answer = torch.as_tensor(pit_loss(estimates, sources))
    if answer.dim():
        return f"it returns {tuple(answer.shape)}, not one number: average over the batch last"
    value = answer.item()
    fixed = -si_snr(estimates, sources).mean().item()
    scores = pairwise(estimates, sources)                                # (batch, est, source)
    n = scores.shape[-1]
    totals = scores[:, all_permutations(n), torch.arange(n)].mean(-1)    # (batch, n!)
    if abs(value - right) < 1e-3:
        return None
    if abs(value + right) < 1e-3:
        return "the sign is wrong: SI-SNR is better when higher, a loss when lower"
    if abs(value + totals.mean(0).max().item()) < 1e-3:
        return ("one permutation was chosen for the whole batch: each utterance has its own, so "
                "take the best BEFORE you average over the batch")
    if abs(value - fixed) < 1e-3:
        return "no permutation was tried: this is the fixed order"
    if abs(value + totals.amin(-1).mean().item()) < 1e-3:
        return "the worst permutation was chosen: maximise SI-SNR, or minimise its negative"
    if abs(value - n * right) < 1e-3:
        return "summed over the sources, not averaged: the loss should not grow with their number"
    return f"for a batch of four it gives {value:.2f}, the right loss is {right:.2f}"


def judge_reorder(my_reorder) -> str | None:
    """05.2: my_reorder(estimates, permutation) -> estimates in the order of the sources."""
    sources = _batch(3)[1]
    cycle = torch.tensor([[1, 2, 0], [2, 0, 1], [0, 2, 1], [0, 1, 2]])
    shuffled = torch.empty_like(sources).scatter_(1, cycle[..., None].expand_as(sources), sources)
    answer = my_reorder(shuffled.clone(), cycle)
    if answer.shape != sources.shape:
        return f"it returns {tuple(answer.shape)} for estimates {tuple(sources.shape)}"
    if torch.equal(answer, sources):
        return None
    if torch.equal(answer, reorder(shuffled, cycle.argsort(-1))):
        return ("you applied the inverse permutation: with two sources nobody notices, with three "
                "it is wrong for two of the six orders; output s must be estimate permutation[s]")
    if torch.equal(answer, shuffled):
        return "the estimates came back in the order they had"
    if torch.equal(answer, shuffled[:, cycle[0]]):
        return "the first utterance's permutation was applied to all of them"
    return "the estimates are not in the order of the sources"


def judge_learning_rate(factor) -> str | None:
    """05.3: factor(step, warmup, total) -> share of the learning rate."""
    values = [float(factor(step, 10, 110)) for step in range(111)]
    if abs(values[0]) < 1e-9:
        return "the very first step has rate 0 and is wasted: climb as (step + 1) / warmup"
    if abs(values[9] - 1) > 1e-6 or abs(values[4] - 0.5) > 1e-6:
        return ("the warm-up should climb in a straight line to 1 in its 10 steps: step 4 gives "
                f"{values[4]:.2f}, step 9 gives {values[9]:.2f}")
    if abs(values[60] - 0.5) > 1e-6 or abs(values[110]) > 1e-6:
        return (f"after the warm-up half a cosine falls from 1 to 0: half-way it should be 0.5 and "
                f"is {values[60]:.2f}, at the end 0 and is {values[110]:.2f}; count the steps "
                "from the END of the warm-up, over total - warmup")
    if abs(values[35] - 0.8535534) > 1e-4:
        return "the ends are right but the way down is not a cosine"
    return None


class RuntimeDied(Exception):
    """What the judge's disk does in the middle of a write."""


def _dying_write(path, data: bytes) -> None:
    Path(path).write_bytes(data[: len(data) // 2])
    raise RuntimeDied


def judge_save(save) -> str | None:
    """05.4: save(path, data, write) keeps a whole file at `path`, even if `write` dies half-way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last.pt"
        for data in (b"epoch 1", b"epoch 2"):
            save(path, data, lambda file, content: Path(file).write_bytes(content))
            if not path.exists() or path.read_bytes() != data:
                return f"after saving {data!r} the file does not hold it"
        if len(list(Path(folder).iterdir())) > 1:
            return "another file was left beside it: os.replace moves the new one over the old"
        try:
            save(path, b"epoch 3", _dying_write)
            return "the runtime died while writing, and save hid it: let the error through"
        except RuntimeDied:
            pass
        if not path.exists():
            return "the runtime died while writing, and the old checkpoint was already deleted"
        if path.read_bytes() != b"epoch 2":
            return ("the runtime died while writing, and left half a checkpoint under the good "
                    "name: write to a temporary name first, then os.replace it")
    return None


JUDGES = {"05.1": judge_pit_loss, "05.2": judge_reorder, "05.3": judge_learning_rate,
          "05.4": judge_save}
