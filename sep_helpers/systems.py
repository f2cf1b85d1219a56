"""What a separator stands between: floors, which have learnt nothing, and ceilings, which know.

A system is a function (mixture ([channel,] time), sources (source, [channel,] time)) -> estimates
like the sources. It may peek at them, as the oracles do.
"""

from collections.abc import Callable

from torch import Tensor

from sep_helpers import masks

System = Callable[[Tensor, Tensor], Tensor]
FLOORS = ("mixture", "random mask")
CEILINGS = ("ideal IBM", "ideal IRM", "ideal WFM", "ideal PSM", "ideal complex")
MASKS = dict(zip(CEILINGS, ("ibm", "irm", "wfm", "psm", "cirm"), strict=True))


def mixture_system() -> System:
    """The floor: hands out the mixture for every source, improvement 0 dB."""
    return lambda mixture, sources: mixture.expand_as(sources)


def oracle_system(mask: str, n_fft: int = 256, hop: int = 64, seed: int = 0) -> System:
    """A ceiling: separates with the ideal mask of that name (a key of `masks.MASKS`), each channel
    with masks of its own.
    """
    def separate(mixture: Tensor, sources: Tensor) -> Tensor:
        if sources.dim() == 2:
            return masks.oracle(mask, mixture, sources, n_fft, hop, seed=seed)
        by_channel = masks.oracle(mask, mixture, sources.transpose(0, 1), n_fft, hop, seed=seed)
        return by_channel.transpose(0, 1)
    return separate


def random_mask_system(seed: int = 0, n_fft: int = 256, hop: int = 64) -> System:
    """Another floor: masks of random numbers. What a network has to beat to have learnt at all."""
    return oracle_system("random", n_fft, hop, seed)


def floors_and_ceilings(n_fft: int = 256, hop: int = 64, seed: int = 0) -> dict[str, System]:
    """{name: system}: FLOORS, then CEILINGS, with one analysis for all masks.

    Binary, ratio, Wiener-like, phase-sensitive and complex; the complex one undoes the mixing
    itself, so its ceiling is that of the STFT: none.
    """
    floors = dict(zip(FLOORS, (mixture_system(), random_mask_system(seed, n_fft, hop)),
                      strict=True))
    return floors | {name: oracle_system(mask, n_fft, hop) for name, mask in MASKS.items()}
