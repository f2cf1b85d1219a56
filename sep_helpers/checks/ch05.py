"""Judges of chapter 5: permutations, the loss, the loop and its averages, checkpoints."""

import tempfile
from pathlib import Path

import torch
from torch import nn

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
    """05.4: factor(step, warmup, total) -> share of the learning rate."""
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
    """05.7: save(path, data, write) keeps a whole file at `path`, even if `write` dies half-way."""
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


def judge_accumulation(my_epoch) -> str | None:
    """05.3: my_epoch(batches, accumulate, loss_of, update) steps along each group's mean loss."""
    batches, every = [1.0, 2.0, 3.0, 6.0, 4.0, 8.0, 4.0, 4.0, 10.0, 30.0], 4
    weight, steps = torch.zeros((), requires_grad=True), []

    def update() -> None:
        steps.append(0.0 if weight.grad is None else weight.grad.item())
        weight.grad = None

    my_epoch(list(batches), every, lambda batch: weight * batch, update)
    groups = [batches[i:i + every] for i in range(0, len(batches), every)]
    sums, means = [sum(g) for g in groups], [sum(g) / len(g) for g in groups]

    def are(expected) -> bool:
        return len(steps) == len(expected) and torch.allclose(torch.tensor(steps),
                                                              torch.tensor(expected))
    if are(means):
        return None
    if not steps:
        return "update() was never called: nothing was learnt"
    if weight.grad is not None or are(means[:-1]) or are(sums[:-1]):
        return ("ten batches make groups of 4, 4 and 2, and the last two were thrown away: update "
                "at the end of the epoch, too")
    if len(steps) == len(batches):
        return "update() came after every batch: collect the gradients of a whole group first"
    if are(sums):
        return ("the gradients of a group were added up, not averaged: divide each loss by the "
                "number of batches in its group, or the learning rate grows with `accumulate`")
    if are([total / every for total in sums]):
        return ("the last group has 2 batches and was divided by 4: its step is half as long as "
                "it should be; divide by the group's own number")
    if are([total / len(batches) for total in sums]):
        return "each loss was divided by the batches of the whole epoch, not by those of its group"
    return f"the gradients at the updates are {steps}, they should be {means}"


def judge_epoch_mean(epoch_mean) -> str | None:
    """05.5: epoch_mean(values, sizes) -> mean over the mixtures, from the batches' means."""
    values, sizes = [4.0, 8.0, 6.0, -10.0], [8, 8, 8, 1]
    answer = float(epoch_mean(list(values), list(sizes)))
    total = sum(v * n for v, n in zip(values, sizes, strict=True))
    verdicts = [
        (total / sum(sizes), None),
        (sum(values) / 4, "the mean of the batches' means: the last batch has one mixture, and it "
                          "counted as much as eight; weigh each batch by its size"),
        (sum(values), "a sum over the batches: it grows with their number, and nobody can compare "
                      "it; divide by the number of mixtures"),
        (total, "a sum over the mixtures: divide by their number"),
        (total / 4, "summed over the mixtures but divided by the number of batches"),
        (total / (4 * 8), "divided as if every batch were full: the last one has one mixture"),
        (sum(values[:3]) / 3, "the last, smaller batch was dropped: its mixture counts, too"),
    ]
    for value, verdict in verdicts:
        if abs(answer - value) < 1e-6:
            return verdict
    return f"for {values} dB in batches of {sizes} it gives {answer:.2f}, not {verdicts[0][0]:.2f}"


class _Watched(nn.Module):
    """Hands out the batch's own estimates, noisier in training mode; notes how it was called."""

    def __init__(self, estimates: dict):
        super().__init__()
        self.dropout, self.estimates, self.calls = nn.Dropout(0.5), estimates, []
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, mixture):
        self.calls.append((self.training, torch.is_grad_enabled()))
        return self.dropout(self.weight * self.estimates[len(mixture)])


def judge_validate(my_validate) -> str | None:
    """05.6: my_validate(model, batches) -> mean SI-SNR in dB, best permutation, over mixtures."""
    pairs = [_batch(batch=6), _batch(batch=2)]
    pairs[1] = (pairs[1][0] + pairs[1][1].roll(1, -1), pairs[1][1])     # the second batch is worse
    batches = [{"mixture": s.sum(1), "sources": s, "lengths": torch.full((len(s),), 800)}
               for _, s in pairs]
    for was_training in (True, False):
        model = _Watched({len(e): e for e, _ in pairs}).train(was_training)
        value = float(my_validate(model, batches))
        if not model.calls:
            return "the model was never called"
        if any(training for training, _ in model.calls):
            return ("the model was in training mode: dropout and batch norm then measure something "
                    "else; call model.eval() first")
        if any(grad for _, grad in model.calls):
            return ("a graph for the gradient was built: eval() does not switch that off, "
                    "torch.no_grad() or torch.inference_mode() does, and saves its memory")
        if model.training != was_training or model.dropout.training != was_training:
            return (f"the model came with training={was_training} and was left with "
                    f"{model.training}: put back the mode it had")
    each = [pit(e, s)[0] for e, s in pairs]
    right, by_batch = torch.cat(each).mean(), torch.stack([v.mean() for v in each]).mean()
    if abs(value - right) < 1e-3:
        return None
    if abs(value + right) < 1e-3:
        return "the sign is wrong: SI-SNR was asked for, not the loss"
    if abs(value - by_batch) < 1e-3:
        return "the mean of the batches' means: the smaller batch counts too much, as in 05.5"
    if abs(value - torch.cat([si_snr(e, s).mean(-1) for e, s in pairs]).mean()) < 1e-3:
        return "the fixed order was measured: let each mixture have its best permutation"
    return f"it gives {value:.2f} dB, the mean over the mixtures is {right:.2f}"


JUDGES = {"05.1": judge_pit_loss, "05.2": judge_reorder, "05.3": judge_accumulation,
          "05.4": judge_learning_rate, "05.5": judge_epoch_mean, "05.6": judge_validate,
          "05.7": judge_save}
