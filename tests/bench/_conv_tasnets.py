"""One Conv-TasNet from three packages: the same configuration, the same training step."""

import sys
from collections.abc import Callable

import _ratio
import torch

from sep_helpers import _torchaudio, models
from sep_helpers.permutation import pit

SMALL = {"N": 512, "L": 40, "B": 128, "H": 256, "Sc": 128, "P": 3, "X": 7, "R": 2}
PAPER = {"N": 512, "L": 16, "B": 128, "H": 512, "Sc": 128, "P": 3, "X": 8, "R": 3}   # its best


def ours(c: dict) -> torch.nn.Module:
    return models.build(models.complete({"name": "conv_tasnet", **c}))


def torchaudio(c: dict) -> torch.nn.Module:
    return _torchaudio.load().models.ConvTasNet(
        num_sources=2, enc_kernel_size=c["L"], enc_num_feats=c["N"], msk_kernel_size=c["P"],
        msk_num_feats=c["B"], msk_num_hidden_feats=c["H"], msk_num_layers=c["X"],
        msk_num_stacks=c["R"])


def asteroid(c: dict) -> torch.nn.Module:
    from asteroid.models import ConvTasNet

    return ConvTasNet(
        n_src=2, n_blocks=c["X"], n_repeats=c["R"], bn_chan=c["B"], hid_chan=c["H"],
        skip_chan=c["Sc"], conv_kernel_size=c["P"], norm_type="gLN", mask_act="sigmoid",
        kernel_size=c["L"], n_filters=c["N"], stride=c["L"] // 2)


PACKAGES = {"ours": ours, "torchaudio": torchaudio, "asteroid": asteroid}


def peers(bench: str) -> list[str]:
    """The peers that are here; says so where asteroid is not."""
    try:
        import asteroid.models  # noqa: F401
    except ImportError as error:
        print(f"{bench}: without asteroid ({error}); see tests/requirements-peers.txt")
        return ["torchaudio"]
    return ["torchaudio", "asteroid"]


def sound(package: str, seconds: float, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixture as the package takes it, and sources: noise, the same for all."""
    torch.manual_seed(0)
    sources = torch.randn(batch, 2, round(seconds * 8000))
    mixture = sources.sum(1)
    return (mixture.unsqueeze(1) if package == "torchaudio" else mixture), sources


def training_step(package: str, config: dict, batch: int = 1) -> Callable:
    """Forward, PIT over SI-SNR, backward and Adam on 4 s."""
    mixture, sources = sound(package, 4, batch)
    network = PACKAGES[package](config)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def run():
        loss = -pit(network(mixture), sources)[0].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return run


def inference(package: str, config: dict, seconds: float = 30) -> Callable:
    """A whole recording at once, without gradients."""
    mixture, _ = sound(package, seconds)
    network = PACKAGES[package](config).eval()

    def run():
        with torch.no_grad():
            network(mixture)
    return run


def compare(name: str, make: Callable, config: dict, goal: float, **more) -> None:
    """Report ours against every peer; the goal is set for torchaudio."""
    torch.set_num_threads(2)
    mine = make("ours", config)
    for peer in peers(name):
        ratios = _ratio.pairs(mine, make(peer, config))
        own = name if peer == "torchaudio" else f"{name}_{peer}"
        _ratio.report(own, ratios, peer, goal, **more)


def high_water() -> float:
    """The most memory this process has held so far, in MB."""
    try:
        with open("/proc/self/status", encoding="utf-8") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except OSError:                          # no /proc: macOS counts in bytes
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":                   # a child of memory.py: MB that a package's steps need
    torch.set_num_threads(2)
    step = training_step(sys.argv[1], PAPER)
    before = high_water()
    for _ in range(2):
        step()
    print(high_water() - before)
