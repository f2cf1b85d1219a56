"""bss_eval: stored figures of mir_eval, mir_eval and a peer themselves, awkward input."""

import importlib
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from sep_helpers import bss_eval as bss
from sep_helpers import metrics

REAL_DATA = os.environ.get("SEP_REAL_DATA")
TOLERANCE = 1e-4     # dB


def congruential(n: int, length: int, seed: int = 1) -> np.ndarray:
    """Noise that any machine and version makes alike: x <- (1103515245 x + 12345) mod 2^31."""
    x, values = seed, []
    for _ in range(n * length):
        x = (1103515245 * x + 12345) % 2**31
        values.append(x / 2**30 - 1)
    return np.reshape(values, (n, length))


def golden(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Coloured sources (n, 4000), and estimates with leaks, a filter and noise, out of order."""
    white = congruential(n, 4000)
    sources = np.stack([np.convolve(w, [1, 0.9 - 0.6 * i, 0.3])[:4000]
                        for i, w in enumerate(white)])
    filtered = 0.8 * sources + 0.4 * np.roll(sources, 5, 1)
    estimates = filtered + 0.2 * np.roll(sources, 1, 0) + 0.1 * congruential(n, 4000, 99)
    return np.roll(estimates, 1, 0), sources


# by mir_eval 0.8.2, bss_eval_sources with permutation (its package carries no data of its own)
STORED = {
    2: ([14.724091, 10.930256], [15.543454, 11.39455], [22.489936, 21.174358], [1, 0]),
    3: ([14.876245, 10.930256, 12.489321], [15.595481, 11.317515, 13.097433],
        [23.158149, 21.929643, 21.535618], [1, 2, 0]),
}


def mir_eval(estimates, sources, permute=False):
    """(sdr, sir, sar[, order]) by the reference, while there is one: 0.9 is to drop it."""
    try:
        separation = importlib.import_module("mir_eval.separation")
    except ImportError:
        pytest.skip("mir_eval.separation is not there: mir_eval is missing, or 0.9 and later")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "mir_eval.separation", FutureWarning)
        return separation.bss_eval_sources(sources, estimates, compute_permutation=permute)


def ours(estimates, sources, permute=False) -> dict:
    return metrics.bss_eval(torch.as_tensor(estimates), torch.as_tensor(sources), permute)


def assert_equal(found: dict, theirs) -> None:
    """Within the tolerance, wherever the reference is within our floor and ceiling."""
    for name, values in zip(("sdr", "sir", "sar"), theirs, strict=False):
        expected = np.clip(values, metrics.FLOOR_DB, metrics.CEILING_DB)
        np.testing.assert_allclose(found[name], expected, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("n", sorted(STORED))
def test_stored_figures_of_mir_eval(n):
    found = ours(*golden(n), permute=True)
    assert_equal(found, STORED[n][:3])
    assert found["order"].tolist() == STORED[n][3]


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_equals_mir_eval_on_random_mixtures(n):
    rng = np.random.default_rng(n)
    for level in (0.02, 0.5) if n < 4 else (0.1,):
        kernels = rng.standard_normal((n, 12)) * 0.7 ** np.arange(12)
        sources = np.stack([np.convolve(x, k)[:5000] * 10 ** rng.uniform(-1, 1)
                            for x, k in zip(rng.standard_normal((n, 5000)), kernels, strict=True)])
        leak = np.eye(n) + level * rng.standard_normal((n, n))
        estimates = leak @ sources + level * sources.std() * rng.standard_normal(sources.shape)
        assert_equal(ours(estimates, sources), mir_eval(estimates, sources))


def test_order_is_mir_eval_s():
    estimates, sources = golden(3)
    *figures, order = mir_eval(estimates, sources, permute=True)
    found = ours(estimates, sources, permute=True)
    assert_equal(found, figures)
    assert found["order"].tolist() == order.tolist() == [1, 2, 0]


@pytest.mark.skipif(not REAL_DATA, reason="SEP_REAL_DATA is not set: no real voices")
@pytest.mark.parametrize("n", [2, 3])
def test_equals_mir_eval_on_real_voices(n):
    """Speech leaves the top of the band almost empty: an ill-conditioned least squares."""
    import soundfile
    files = sorted((Path(REAL_DATA) / "speech_real").glob("*/*.flac"))[:n]
    sources = np.stack([soundfile.read(f)[0][8000:24000] for f in files])
    rng = np.random.default_rng(0)
    for estimates in (sources + 0.1 * np.roll(sources, 1, 0) + 1e-3 * rng.standard_normal(
                          sources.shape), sources + 1e-4 * rng.standard_normal(sources.shape),
                      np.tile(sources.sum(0), (n, 1)) + 1e-3 * rng.standard_normal(sources.shape)):
        assert_equal(ours(estimates, sources), mir_eval(estimates, sources))


def test_equals_fast_bss_eval():
    fast = pytest.importorskip("fast_bss_eval", reason="fast_bss_eval is not installed: a peer "
                               "for the bench, see tests/requirements-peers.txt")
    estimates, sources = golden(4)
    *figures, order = fast.bss_eval_sources(sources, estimates, compute_permutation=True)
    found = ours(estimates, sources, permute=True)
    assert_equal(found, figures)
    assert found["order"].tolist() == order.tolist()


def test_energies_are_those_of_least_squares_on_delayed_copies():
    """By the definition: the matrix of all delayed copies, and projections onto its columns."""
    taps, length = 16, 400
    rng = np.random.default_rng(0)
    sources, estimates = rng.standard_normal((3, length)), rng.standard_normal((4, length))
    copies = np.stack([[np.concatenate([np.zeros(a), s, np.zeros(taps - 1 - a)])
                        for a in range(taps)] for s in sources])        # (source, tap, time)
    padded = np.pad(estimates, [(0, 0), (0, taps - 1)])

    def projected(columns):
        q = np.linalg.qr(columns.T)[0]
        return np.square(padded @ q).sum(1)

    total, own, every = bss.energies(estimates, sources, taps=taps)
    np.testing.assert_allclose(total, np.square(estimates).sum(1))
    np.testing.assert_allclose(own, np.stack([projected(c) for c in copies], 1), rtol=1e-9)
    np.testing.assert_allclose(every, projected(copies.reshape(-1, length + taps - 1)), rtol=1e-9)
    alone = bss.energies(estimates, sources, interference=False, taps=taps)
    np.testing.assert_allclose(alone[1], own)
    assert alone[2] is None


def test_a_silent_source_spans_nothing():
    """It changes nobody else's figures, and nothing of an estimate is it."""
    estimates, sources = golden(3)
    sources[1] = 0
    total, own, every = bss.energies(estimates, sources)
    _, own_without, every_without = bss.energies(estimates, sources[[0, 2]])
    assert (own[:, 1] == 0).all()
    np.testing.assert_allclose(own[:, [0, 2]], own_without)
    np.testing.assert_allclose(every, every_without)
    nothing = bss.energies(estimates, np.zeros((2, 4000)))
    assert (nothing[1] == 0).all() and (nothing[2] == 0).all() and (nothing[0] == total).all()
    ratios = bss.ratios(*nothing)
    assert all((ratio == 0).all() for ratio in ratios.values())


def tone(hertz: float, length: int = 2000) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(length) / 8000)


@pytest.mark.parametrize("sources", [
    np.stack([tone(440), tone(1000)]),                       # copies that repeat each other
    np.stack([congruential(1, 2000)[0]] * 2),                # twice the same source
    np.stack([tone(440), congruential(1, 2000)[0]]),
    np.stack([np.eye(1, 2000, 5)[0], np.eye(1, 2000, 9)[0]]),
], ids=["tones", "twins", "tone and noise", "clicks"])
def test_singular_systems_have_the_figures_of_an_exact_projection(sources):
    rng = np.random.default_rng(1)
    estimates = sources + 0.05 * sources.std() * rng.standard_normal(sources.shape)
    found = ours(estimates, sources)
    padded = np.pad(estimates, [(0, 0), (0, bss.TAPS - 1)])
    for j, source in enumerate(sources):
        copies = np.stack([np.pad(source, (a, bss.TAPS - 1 - a)) for a in range(bss.TAPS)])
        u, size, _ = np.linalg.svd(copies.T, full_matrices=False)
        part = np.square(padded[j] @ u[:, size > 1e-9 * size[0]]).sum()
        sdr = 10 * np.log10(part / (np.square(padded[j]).sum() - part))
        assert found["sdr"][j] == pytest.approx(sdr, abs=0.02)
    assert all(np.isfinite(values).all() for values in found.values())


def test_levels_far_apart_and_input_left_alone():
    estimates, sources = golden(2)
    before = [x.copy() for x in (estimates, sources)]
    plain = ours(estimates, sources)
    gains = np.array([[1e-150], [1e150]])
    far = {name: np.diag(10 * np.log10(ratio)) for name, ratio in bss.ratios(
        *bss.energies(estimates, gains * sources)).items()}
    np.testing.assert_allclose(far["sdr"], plain["sdr"], atol=1e-6)
    np.testing.assert_allclose(far["sir"], plain["sir"], atol=1e-6)
    assert all((x == y).all() for x, y in zip(before, (estimates, sources), strict=True))


def test_threads_do_not_share_their_matrix():
    from concurrent.futures import ThreadPoolExecutor
    pairs = [golden(2), golden(3)] * 4
    expected = [ours(*pair)["sir"] for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(lambda pair: ours(*pair)["sir"], pairs), expected,
                                strict=True):
            np.testing.assert_array_equal(found, right)


def test_the_course_does_not_need_mir_eval():
    """mir_eval is to drop BSS-eval: nothing of the package may import it."""
    package = Path(bss.__file__).parent
    for file in package.rglob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if line.strip().startswith(("import mir_eval",
                                                                        "from mir_eval"))], file
