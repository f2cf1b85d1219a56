"""How many mixtures fit into memory, and what to say when they do not."""

import copy
import gc
import traceback

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from sep_helpers import hardware, objectives, optimisers
from sep_helpers.settings import Settings
from sep_helpers.trainer import TrainingError
from sep_helpers.views import LiveView, collate

OUT_OF_MEMORY = (RuntimeError, MemoryError)      # what is_out_of_memory tells apart
WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
LARGEST = 1024                                   # more than any course needs
SPARE = 0.8                                      # share of what is free that may be used
ON_TOP = 1.5                                     # gradients of activations come on top of these


def is_out_of_memory(error: BaseException) -> bool:
    """Is that what this error means, on a CPU or a GPU?"""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        word in str(error).lower() for word in WORDS)


def find_batch(model: nn.Module, train_view: LiveView, settings: Settings, device="cpu") -> int:
    """The largest power of two of mixtures whose training step fits into memory.

    On a GPU steps are tried, on a copy of the network; on a CPU, where trying would bring the
    machine to its knees, what one step keeps for its backward pass is counted and multiplied.
    Raises TrainingError when not even one mixture fits.
    """
    if torch.device(device).type == "cuda":
        most = _by_trying(model, train_view, settings, device)
    else:
        most = _by_counting(model, train_view)
    if most < 1:
        raise TrainingError("not even one mixture fits into memory: shorten them (seconds), or "
                            "take a smaller network")
    return min(LARGEST, 2 ** (int(most).bit_length() - 1))


def advice(error: BaseException, model, train_view, settings: Settings, device) -> TrainingError:
    """The error to raise in place of one that says that memory is full: it names a batch."""
    traceback.clear_frames(error.__traceback__)      # they hold what filled the memory
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
    try:
        fits = min(find_batch(model, train_view, settings, device), max(1, settings.batch // 2))
    except TrainingError as worse:
        return worse
    except OUT_OF_MEMORY:
        fits = max(1, settings.batch // 2)
    times = -(-settings.batch * settings.accumulate // fits)
    return TrainingError(
        f"out of memory with a batch of {settings.batch}: batch={fits} would fit; with "
        f"accumulate={times} an update still sees {fits * times} mixtures (train --find-batch "
        "looks for the largest)")


def _batch(train_view: LiveView, size: int) -> dict:
    epoch = train_view.epoch(0)
    return collate([epoch[i % len(epoch)] for i in range(size)])


def _by_trying(model: nn.Module, train_view: LiveView, settings: Settings, device) -> int:
    probe = copy.deepcopy(model).to(device).train()
    optimizer = optimisers.optimiser(probe, settings)
    mixed = hardware.choose_precision(settings.precision, torch.device(device), lambda line: None)
    kind = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(mixed, torch.float32)
    fits, size = 0, 1
    while size <= LARGEST:
        try:
            batch = _batch(train_view, size)
            with torch.autocast("cuda", kind, enabled=mixed != "no"):
                estimates = probe(batch["mixture"].to(device))
            value, *_ = objectives.score(estimates, batch["sources"].to(device), batch["lengths"])
            (-value.mean()).backward()
            optimizer.step()
            optimizer.zero_grad()
        except OUT_OF_MEMORY as error:
            if not is_out_of_memory(error):
                raise
            break
        fits, size = size, 2 * size
    torch.cuda.empty_cache()
    return fits


def _by_counting(model: nn.Module, train_view: LiveView) -> int:
    import psutil

    one, two = (kept_bytes(model, _batch(train_view, size)["mixture"]) for size in (1, 2))
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    free = SPARE * psutil.virtual_memory().available - 4 * weights - max(0, 2 * one - two)
    return int(free / (ON_TOP * max(1, two - one)))


def kept_bytes(model: nn.Module, mixture: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, the weights aside."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(count, lambda tensor: tensor):
        output = model(mixture.to(next(model.parameters()).device))
    del output
    return sum(kept.values())
