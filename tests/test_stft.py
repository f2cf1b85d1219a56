"""stft: the way there and back is the identity, and it agrees with the libraries people know."""

import numpy as np
import pytest
import torch

from sep_helpers.stft import (
    WINDOWS,
    STFTError,
    _window,
    frequencies,
    istft,
    overlap_sum,
    stft,
    times,
)


def noise(*shape: int, dtype=torch.float32) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype) * 2 - 1


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("n_fft, hop", [(256, 64), (256, 128), (512, 100), (32, 16), (250, 75)])
def test_round_trip_is_exact_for_every_length(window, n_fft, hop):
    for length in (1, 2, hop - 1, hop, hop + 1, n_fft - 1, n_fft, n_fft + 1, 3333, 8000):
        x = noise(2, length)
        again = istft(stft(x, n_fft, hop, window), length, n_fft, hop, window)
        assert again.shape == x.shape
        assert (again - x).abs().max() < 1e-6, length


@pytest.mark.parametrize("window", WINDOWS)
def test_every_hop_is_either_exact_or_refused(window):
    x, refused = noise(3, 700), set()
    for n_fft in (2, 6, 64, 130):
        for hop in range(1, n_fft + 3):
            try:
                again = istft(stft(x, n_fft, hop, window), 700, n_fft, hop, window)
            except STFTError:
                refused.add((n_fft, hop))
            else:
                assert (again - x).abs().max() < 1e-6, (n_fft, hop)
    assert {(n, h) for n in (6, 64, 130) for h in (n + 1, n + 2)} <= refused       # gaps
    assert not any(hop <= n_fft // 2 for n_fft, hop in refused if n_fft > 2)


def test_silence_and_nan_stay_where_they_are():
    assert not stft(torch.zeros(1001)).any() and not istft(stft(torch.zeros(1001)), 1001).any()
    x = noise(2, 1001)
    x[0, 700] = torch.nan
    X = stft(x)
    spoilt = X.isnan().any(1)
    assert not spoilt[1].any() and spoilt[0].nonzero().flatten().tolist() == [9, 10, 11, 12]
    assert istft(X, 1001)[0, :448].isfinite().all()


def test_round_trip_in_double_precision():
    x = noise(4000, dtype=torch.float64)
    assert (istft(stft(x), 4000) - x).abs().max() < 1e-14


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 1, 3)])
def test_leading_dimensions_are_a_batch(leading):
    x = noise(*leading, 1000)
    X = stft(x)
    assert X.shape == (*leading, 129, 17) and X.is_complex()
    assert istft(X, 1000).shape == x.shape
    alone = stft(x.reshape(-1, 1000)[-1])
    assert torch.equal(X.reshape(-1, 129, 17)[-1], alone)


@pytest.mark.filterwarnings("ignore:n_fft=256 is too large")
@pytest.mark.parametrize("length", [1, 64, 4000, 4096])
def test_equals_librosa(length):
    librosa = pytest.importorskip("librosa")
    x = noise(length)
    theirs = librosa.stft(x.numpy(), n_fft=256, hop_length=64, window="hann", pad_mode="constant")
    ours = stft(x).numpy()
    assert ours.shape[-1] - theirs.shape[-1] == (length % 64 > 0)      # the frame over the tail
    np.testing.assert_allclose(ours[:, : theirs.shape[-1]], theirs, atol=2e-5)
    back = librosa.istft(ours, n_fft=256, hop_length=64, window="hann", length=length)
    np.testing.assert_allclose(istft(torch.from_numpy(ours), length), back, atol=1e-6)


def test_equals_torchaudio():
    from sep_helpers import _torchaudio
    try:
        transforms = _torchaudio.load().transforms
    except ImportError as error:
        pytest.skip(f"torchaudio: {error}")
    x = noise(2, 4096)
    theirs = transforms.Spectrogram(256, hop_length=64, power=None, pad_mode="constant")(x)
    assert torch.allclose(stft(x), theirs, atol=1e-6)
    back = transforms.InverseSpectrogram(256, hop_length=64)(theirs, 4096)
    assert torch.allclose(istft(stft(x), 4096), back, atol=1e-6)


def test_a_tone_stands_in_its_bin_with_half_the_window_sum():
    t = torch.arange(8000) / 8000
    X = stft(torch.cos(2 * torch.pi * 1000 * t)).abs()
    middle = X[:, X.shape[-1] // 2]
    assert frequencies(256, 8000)[middle.argmax()] == 1000
    assert middle.max().item() == pytest.approx(256 / 4, rel=1e-4)


def test_a_click_stands_in_its_frame():
    x = torch.zeros(8000)
    x[63 * 64] = 1
    energy = stft(x).abs().square().sum(0)
    assert energy.argmax() == 63
    assert times(len(energy), 64, 8000)[63].item() == pytest.approx(63 * 64 / 8000)


def test_axes_end_at_nyquist_and_at_the_last_frame():
    assert frequencies(256, 8000)[[0, 1, -1]].tolist() == [0, 31.25, 4000]
    assert times(3, 64, 8000).tolist() == pytest.approx([0, 0.008, 0.016])


@pytest.mark.parametrize("window, hop, constant", [
    ("sqrt_hann", 128, True), ("hann", 64, True), ("hamming", 64, True), ("hann", 128, False),
])
def test_overlap_sum_is_constant_exactly_where_cola_says_so(window, hop, constant):
    total = overlap_sum(window, 256, hop)
    assert bool(total.max() - total.min() < 1e-12) is constant


def test_inverse_is_the_least_squares_one():
    """Of all signals, none has an STFT closer to an inconsistent X (Griffin & Lim)."""
    X = stft(noise(600)) * noise(129, 11)
    x = istft(X, 600).requires_grad_()
    full = X.clone()
    weights = torch.full((129, 1), 2.0)     # a one-sided bin stands for two, but for DC and Nyquist
    weights[[0, -1]] = 1
    full[[0, -1]] = full[[0, -1]].real.to(full.dtype)     # no real signal has other phases there
    ((stft(x) - full).abs().square() * weights).sum().backward()
    inner = x.grad
    assert inner.abs().max() < 1e-2 < (stft(x) - full).abs().max()


def test_gradient_flows_through_and_back():
    x = noise(500, dtype=torch.float64).requires_grad_()
    istft(stft(x), 500).square().sum().backward()
    assert torch.allclose(x.grad, 2 * x, atol=1e-12)


def test_a_window_first_made_in_inference_mode_serves_training():
    _window.cache_clear()
    with torch.inference_mode():
        stft(noise(500))
    x = noise(500).requires_grad_()
    stft(x).abs().sum().backward()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize("call, message", [
    (lambda: stft(noise(100), window="kaiser"), "'kaiser' is unknown: choose one of hann"),
    (lambda: stft(noise(100), hop=256), "hann of 256 with hop 256 cannot be inverted.*hop of 128"),
    (lambda: stft(noise(100), hop=300, window="boxcar"), "cannot be inverted"),
    (lambda: stft(noise(100), n_fft=255), "n_fft has to be even"),
    (lambda: stft(noise(100), hop=64.0), "hop 64.0: .*whole numbers of samples"),
    (lambda: stft(noise(100).short()), r"torch.int16 \(100,\) .*x.float\(\), .*32768"),
    (lambda: stft(noise(100) + 0j), "complex64 .* cannot be analysed: give real samples"),
    (lambda: stft(noise(100) > 0), "torch.bool .* cannot be analysed"),
    (lambda: stft(noise(100).half()), "float16 .* cannot be analysed: .*x.float"),
    (lambda: stft(noise(100).numpy()), "a ndarray is no waveform: .*torch.from_numpy"),
    (lambda: stft(torch.tensor(1.0)), r"torch.float32 \(\) is no waveform"),
    (lambda: istft(stft(noise(100)).abs(), 100), r"torch.float32 \(129, 3\) is no complex.*polar"),
    (lambda: istft(stft(noise(100))[:, 0], 100), "is no complex spectrogram"),
    (lambda: stft(noise(100), hop=0), "hop at least 1"),
    (lambda: stft(noise(2, 0)), "empty"),
    (lambda: istft(stft(noise(1000)), 1000, n_fft=512), "129 frequencies .* n_fft 256"),
    (lambda: istft(stft(noise(1000)), 1025), "17 frames with hop 64 hold 961 to 1024 .* not 1025"),
    (lambda: istft(stft(noise(1000)), 960), "not 960"),
])
def test_what_cannot_be_inverted_is_refused_in_one_line(call, message):
    with pytest.raises(STFTError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
