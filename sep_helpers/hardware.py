"""What a training runs on, through Hugging Face accelerate: a CPU, a GPU, several machines.

`accelerate` is imported when a training starts, not before: it takes a second, and a notebook that
has not trained yet can still launch several processes (`accelerate.notebook_launcher`).
"""

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sep_helpers import randomness
from sep_helpers.logs import LOG
from sep_helpers.models.blocks import NORMS

BATCH_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def choose_precision(asked: str, device: torch.device, say: Callable = LOG.info) -> str:
    """accelerate's name, "no" (float32), "fp16" or "bf16", for a Settings.precision on a device.

    A CPU computes in float32, where 16 bits would be slower. GPUs before Ampere (the T4 of Colab)
    only emulate bf16: they get fp16, whose small range a GradScaler makes up for.
    """
    if asked == "float32":
        return "no"
    if device.type != "cuda":
        if asked != "auto":
            say(f"precision {asked} is for GPUs: computing in float32 on this {device.type}")
        return "no"
    has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
    if asked == "bf16" and not has_bf16:
        say(f"{torch.cuda.get_device_name(device)} only emulates bf16: computing in fp16")
    return asked if asked == "fp16" else "bf16" if has_bf16 else "fp16"


def open_accelerator(device: str | torch.device | None, precision: str = "float32", say=LOG.info):
    """The Accelerator of this process; `device` None takes what is there, GPU before CPU.

    Its state is one for the whole process. A notebook trains again and again, on another device or
    in another precision, so a state that does not fit any more is cleared first.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    if device is None:       # accelerate joins processes on a CPU only where it is told to use it
        cpu = not (torch.cuda.is_available() or torch.backends.mps.is_available())
    else:
        cpu = torch.device(device).type == "cpu"
    if PartialState._shared_state:
        known = PartialState()
        if cpu and known.device.type != "cpu" or known.device.type == "cpu" and not cpu:
            AcceleratorState._reset_state(reset_partial_state=known.num_processes == 1)
    found = PartialState(cpu=cpu).device
    mixed = choose_precision(precision, found, say)
    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != mixed:
        AcceleratorState._reset_state()
    return Accelerator(cpu=cpu, mixed_precision=mixed)


def keep_norms_in_float32(model: nn.Module) -> list:
    """Let every normalisation see float32 under autocast: sums of squares overflow 16 bits.

    Returns the hooks' handles, to remove them when the training is over.
    """
    kinds = (*NORMS.values(), *BATCH_NORMS)
    return [module.register_forward_pre_hook(_to_float32)
            for module in model.modules() if isinstance(module, kinds)]


def _to_float32(module: nn.Module, inputs: tuple) -> tuple:
    return tuple(x.float() if isinstance(x, Tensor) and x.is_floating_point() else x
                 for x in inputs)


def without_gradient(model: nn.Module, mixture: Tensor) -> list[str]:
    """Names of the parameters that no output depends on, found by trying on a copy.

    Such weights (in many a Conv-TasNet the residual output of the last block) never move. Several
    processes that average gradients would wait for theirs for ever.
    """
    before = randomness.state()
    probe = copy.deepcopy(model)
    probe(mixture.to(next(model.parameters()).device)).square().sum().backward()
    randomness.restore(before)
    return [name for name, p in probe.named_parameters() if p.requires_grad and p.grad is None]


def leave_out(model: nn.Module, names: list[str]) -> None:
    """Tell DistributedDataParallel not to wait for these parameters' gradients."""
    if names:
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)


def together(accelerator, action: Callable):
    """What `action()` gives on the main process, on every process; its error, too."""
    if accelerator.num_processes == 1:
        return action()
    from accelerate.utils import broadcast_object_list

    box = [None]
    if accelerator.is_main_process:
        try:
            box = [(action(), None)]
        except Exception as error:
            box = [(None, error)]
    result, error = broadcast_object_list(box)[0]
    if error is not None:
        raise error
    return result


def gathered(accelerator, items: Iterable) -> list:
    """The items of all processes in one list, on every process."""
    if accelerator.num_processes == 1:
        return list(items)
    from accelerate.utils import gather_object

    return gather_object(list(items))


def position(accelerator) -> tuple[int, int]:
    """How many processes there are, and which of them this is."""
    return (1, 0) if accelerator is None else (accelerator.num_processes, accelerator.process_index)


def share(batch: int, processes: int, rank: int) -> slice:
    """Which of a step's mixtures a process computes; `batch` is divided without rest."""
    part = batch // processes
    return slice(rank * part, (rank + 1) * part)
