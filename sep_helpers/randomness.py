"""The state of every random generator a training may draw from, as plain tensors."""

import random

import numpy as np
import torch


def seed(number: int) -> None:
    """Seed python, numpy and torch, on the CPU and every GPU."""
    random.seed(number)
    np.random.seed(number % 2**32)
    torch.manual_seed(number)


def state() -> dict:
    """-> {"python", "numpy", "torch", "cuda"}: what `restore` takes."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {
        "python": (version, torch.tensor(words), gauss),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def restore(saved: dict) -> None:
    """Put every generator where it was; GPUs that are not there any more are left out."""
    version, words, gauss = saved["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    name, keys, *rest = saved["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(saved["torch"])
    if torch.cuda.is_available():
        for number, one in enumerate(saved["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(one, number)
