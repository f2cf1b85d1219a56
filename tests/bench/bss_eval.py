"""BSS-eval against mir_eval and fast_bss_eval's exact solver: 2 to 5 sources of 4 s, with order.

On one thread: torch's pool of threads and that of numpy's BLAS wait for each other, spinning, and
whoever is called second pays for the first.
"""

import os
import warnings

for pool in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{pool}_NUM_THREADS"] = "1"            # before they are loaded

import numpy as np  # noqa: E402
import torch  # noqa: E402
from _ratio import pairs, report  # noqa: E402

from sep_helpers import metrics  # noqa: E402

LENGTH = 32000
warnings.filterwarnings("ignore", "mir_eval.separation", FutureWarning)


def mixture(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Estimates with leaks and noise, and their sources, (source, time)."""
    rng = np.random.default_rng(seed)
    sources = rng.standard_normal((n, LENGTH))
    leaks = np.eye(n) + 0.2 * rng.standard_normal((n, n))
    return leaks @ sources + 0.1 * rng.standard_normal((n, LENGTH)), sources


def ratios(n: int, peer) -> list[float]:
    estimates, sources = mixture(n)
    e, s = torch.from_numpy(estimates), torch.from_numpy(sources)
    return pairs(lambda: metrics.bss_eval(e, s, permute=True), lambda: peer(sources, estimates),
                 warmup=1)


def main() -> None:
    """One line a peer: for 2 sources; the other numbers of sources are stored beside it."""
    from mir_eval.separation import bss_eval_sources
    by_number = {n: ratios(n, bss_eval_sources) for n in (2, 3)}
    fixed = ratios(2, lambda s, e: bss_eval_sources(s, e, compute_permutation=False))
    report("bss_eval", by_number[2], "mir_eval", 8,
           three_sources=round(float(np.median(by_number[3])), 1),
           without_permutation=round(float(np.median(fixed)), 1))
    try:
        from fast_bss_eval import bss_eval_sources as exact
    except ImportError:
        print("fast_bss_eval is not installed: see tests/requirements-peers.txt")
        return
    by_number = {n: ratios(n, exact) for n in (2, 3, 5)}
    report("bss_eval_fast", by_number[2], "fast_bss_eval, exact", 1,
           three_sources=round(float(np.median(by_number[3])), 2),
           five_sources=round(float(np.median(by_number[5])), 2))


if __name__ == "__main__":
    main()
