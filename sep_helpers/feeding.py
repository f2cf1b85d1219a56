"""Feeding a network: an epoch's batches from any position on, and a whole view to validate on."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from sep_helpers import hardware, objectives
from sep_helpers.settings import Settings
from sep_helpers.views import ViewError, collate


@torch.inference_mode()
def measure(model: nn.Module, view: Dataset, batch: int = 8, device="cpu", accelerator=None,
            assignment: str = "pit") -> tuple[Tensor, Tensor]:
    """SI-SNR in dB of each mixture of a view, and its best permutation: (n,), (n, source); with
    `fixed` places, that of the sources that sound, and their own order.

    The mode is put back. With an accelerator the processes share the mixtures. Those that a view
    with `skip` leaves out are missing here, too. Raises ViewError for a view without mixtures.
    """
    if not len(view):
        raise ViewError("the view holds no mixtures: nothing can be measured on it")
    ranks, rank = hardware.position(accelerator)
    was_training = model.training
    model.eval()
    mine, found_here = range(rank, len(view), ranks), []
    loader = DataLoader(Subset(view, mine), batch_size=batch, collate_fn=_with_places,
                        generator=torch.Generator())
    for first, (places, items) in zip(range(0, len(mine), batch), loader, strict=True):
        estimates = model(items["mixture"].to(device))
        sources, lengths = items["sources"].to(device), items["lengths"]
        value, permutation = objectives.score(estimates, sources, lengths, assignment=assignment)
        if assignment == "fixed":
            value = objectives.of_heard(estimates, sources, lengths)
        numbers = [mine[first + place] for place in places]
        found_here += zip(numbers, value.cpu(), permutation.cpu(), strict=True)
    model.train(was_training)
    if ranks > 1:
        found_here = sorted(hardware.gathered(accelerator, found_here), key=lambda found: found[0])
    _, values, permutations = zip(*found_here, strict=True)
    return torch.stack(values).clone(), torch.stack(permutations).clone()


def _with_places(items: list[dict]) -> tuple[list[int], dict]:
    """Where in the list the mixtures that could be read stand, and their batch."""
    return [place for place, item in enumerate(items) if "fault" not in item], sound(items)


def sound(items: list[dict]) -> dict:
    """`collate`, for networks: a batch with NaN or infinite samples would spoil every weight.

    Raises ViewError with the names of the mixtures that have them, before any network sees them.
    """
    batch = collate(items)
    wrong = [name for name, *waves in zip(batch["id"], batch["mixture"], batch["sources"],
                                          strict=True) if not all(map(_is_finite, waves))]
    if wrong:
        raise ViewError(f"mixtures {', '.join(wrong)}: NaN or infinite samples, in the mixture or "
                        "in a source; leave them out of the view, or mend what made them")
    return batch


def _is_finite(x: Tensor) -> bool:
    return bool(x.sum().isfinite() or x.isfinite().all())     # the sum is faster, and may overflow


def validate(model: nn.Module, view: Dataset, batch: int = 8, device="cpu") -> float:
    """Mean SI-SNR in dB over a view, best permutation per utterance; the mode is put back."""
    return measure(model, view, batch, device)[0].mean().item()


def batches(epoch: Dataset, settings: Settings, first: int = 0, accelerator=None) -> DataLoader:
    """The epoch's whole batches from batch number `first` on: where a resumed run goes on.

    A process gets its share of each. The order is decided by the numbers alone, and the loader
    draws from a generator of its own, so that neither workers nor an interruption change a bit.
    """
    ranks, rank = hardware.position(accelerator)
    part = hardware.share(settings.batch, ranks, rank)
    numbers = [range(start, start + settings.batch)[part] for start in range(
        first * settings.batch, len(epoch) // settings.batch * settings.batch, settings.batch)]
    on_gpu = accelerator is not None and accelerator.device.type == "cuda"
    return DataLoader(epoch, batch_sampler=numbers, collate_fn=sound, pin_memory=on_gpu,
                      num_workers=settings.workers,
                      generator=torch.Generator().manual_seed(settings.seed))
