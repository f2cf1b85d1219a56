"""The oracles against other people's code: norbert's masks, scipy's frames, mir_eval's figures."""

import mir_eval
import numpy as np
import pytest
import scipy.optimize
import scipy.signal
import torch

from sep_helpers import corpora, masks, metrics
from sep_helpers.stft import stft

GRID = {"window": "hann", "nperseg": 256, "noverlap": 192}


@pytest.fixture(scope="module", params=[2, 3])
def voices(request) -> torch.Tensor:
    """Embedded voices (source, time), as float64: other people's code computes in 64 bits."""
    corpus = corpora.embedded()
    files = corpus.table.drop_duplicates("speaker").file[:request.param]
    cuts = [corpus.waveform(file)[:9000].double() for file in files]
    return torch.stack([x * 0.05 / x.square().mean().sqrt() for x in cuts])


def frames(x) -> np.ndarray:
    """scipy's STFT, of the same windows in the same places: complex (..., freq, frame)."""
    return scipy.signal.stft(np.asarray(x), **GRID)[2]


def norberts(sources: torch.Tensor, power: float) -> np.ndarray:
    """Estimates by norbert's Wiener filter from the true spectrograms to some power, no EM."""
    norbert = pytest.importorskip("norbert", reason="norbert is in tests/requirements-peers.txt")
    S, Y = frames(sources), frames(sources.sum(0))
    sizes = np.abs(S) / np.abs(S).max(0).clip(1e-12)           # of a bin's loudest source: 1
    v = (sizes ** power).transpose(2, 1, 0)[:, :, None]        # (frame, freq, channel, source)
    y = norbert.wiener(v, Y.T[:, :, None].copy(), iterations=0, eps=1e-20)
    return scipy.signal.istft(y[:, :, 0].transpose(2, 1, 0), **GRID)[1][:, :sources.shape[-1]]


def mir_evals(estimates, sources) -> np.ndarray:
    return mir_eval.separation.bss_eval_sources(np.asarray(sources), np.asarray(estimates),
                                                compute_permutation=False)[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, power", [("irm", 1), ("wfm", 2), ("ibm", 1e8)])
def test_norberts_filter_gives_our_estimates_and_mir_eval_our_figures(voices, name, power):
    ours = masks.oracle(name, voices.sum(0), voices)
    theirs = norberts(voices, power)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())
    figures = mir_evals(theirs, voices)
    assert metrics.sdr(ours, voices).numpy() == pytest.approx(figures, abs=0.01)
    assert figures.min() > 5 + mir_evals(voices.sum(0).expand_as(voices), voices).max()


@pytest.mark.filterwarnings("ignore")
def test_the_phase_sensitive_mask_is_the_bounded_least_squares_fit(voices):
    S, Y = stft(voices), stft(voices.sum(0))
    ours = masks.psm(S, Y)
    for f, k in torch.nonzero(Y.abs() > 0.01 * Y.abs().max())[::97].tolist():
        line = np.array([[Y[f, k].real], [Y[f, k].imag]])
        for i in range(len(voices)):
            target = np.array([S[i, f, k].real, S[i, f, k].imag])
            fit = scipy.optimize.lsq_linear(line, target, bounds=(0, 1), tol=1e-12)
            assert ours[i, f, k].item() == pytest.approx(fit.x[0], abs=1e-5)
    estimates = masks.oracle("psm", voices.sum(0), voices)
    figures = mir_evals(estimates, voices)
    assert metrics.sdr(estimates, voices).numpy() == pytest.approx(figures, abs=0.01)
    for other in ("irm", "ibm"):
        assert (figures > mir_evals(masks.oracle(other, voices.sum(0), voices), voices)).all()


@pytest.mark.filterwarnings("ignore")
def test_to_mir_eval_the_complex_mask_gives_the_sources_themselves(voices):
    estimates = masks.oracle("cirm", voices.sum(0), voices)
    assert mir_evals(estimates, voices).min() > 100
    floor = masks.oracle("random", voices.sum(0), voices)
    assert metrics.sdr(floor, voices).numpy() == pytest.approx(mir_evals(floor, voices), abs=0.01)
