"""systems: floors that gain nothing, ceilings in the order theory wants, stereo by channel."""

import pytest
import torch

from sep_helpers import audio, masks, metrics
from sep_helpers.systems import (
    CEILINGS,
    FLOORS,
    MASKS,
    Recorded,
    RecordedError,
    floors_and_ceilings,
    mixture_system,
    oracle_system,
    random_mask_system,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gated(n: int = 2, length: int = 8000) -> torch.Tensor:
    """Noises that each come and go, so that masks can part them."""
    gates = torch.stack([(torch.arange(length) // (400 + 150 * i)) % 2 for i in range(n)])
    return 0.1 * noise(n, length) * (0.05 + gates)


def test_the_floors_first_then_every_ceiling():
    systems = floors_and_ceilings()
    assert tuple(systems) == FLOORS + CEILINGS
    assert set(MASKS.values()) == set(masks.MASKS) - {"random"}


def test_the_floors_gain_nothing_and_the_ceilings_rank_as_theory_says():
    sources = gated()
    mixture = sources.sum(0)
    gain = {name: metrics.si_sdr_improvement(system(mixture, sources), sources, mixture).mean()
            for name, system in floors_and_ceilings().items()}
    assert gain["mixture"] == 0 and abs(gain["random mask"]) < 1.5
    assert all(gain[name] > 5 for name in CEILINGS)
    assert gain["ideal PSM"] == max(gain[name] for name in CEILINGS[:-1])    # the best real mask
    assert gain["ideal complex"] > 80


def test_the_random_mask_comes_from_its_seed():
    sources = gated()
    first, again, other = (random_mask_system(seed)(sources.sum(0), sources) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("mask", ["irm", "cirm", "random"])
def test_stereo_is_masked_channel_by_channel(mask):
    sources = torch.stack([gated(3), gated(3).flip(-1)], 1)          # (source, channel, time)
    mixture = sources.sum(0)
    found = oracle_system(mask)(mixture, sources)
    assert found.shape == sources.shape
    if mask != "random":
        left = oracle_system(mask)(mixture[0], sources[:, 0])
        assert torch.allclose(found[:, 0], left, atol=1e-6)
    assert torch.allclose(found.sum(0), mixture, atol=1e-4)


def test_the_mixture_is_handed_out_in_stereo_too():
    sources = noise(4, 2, 100)
    found = mixture_system()(sources.sum(0), sources)
    assert found.shape == sources.shape and torch.equal(found[3], sources.sum(0))


# --- estimates in files


def item(n: int = 2) -> dict:
    sources = 0.1 * noise(n, 800)
    return {"id": "mix_1", "mixture": sources.sum(0), "sources": sources}


def write(folder, estimates, name="mix_1", rate=8000):
    (folder / "out").mkdir(exist_ok=True)
    for k, estimate in enumerate(estimates):
        audio.write(folder / f"out/{name}_source{k + 1}.wav", estimate, rate)
    return folder / "out"


def test_recorded_estimates_are_read_in_their_order(tmp_path):
    it = item(11)                                            # _source10 comes after _source9
    folder = write(tmp_path, it["sources"])
    write(tmp_path, it["sources"][:2], "mix_10")             # no estimate of mix_1
    system = Recorded(folder)
    assert system.sample_rate == 8000
    assert torch.allclose(system.of(it), it["sources"], atol=1e-4)


def test_recorded_stereo(tmp_path):
    sources = 0.1 * noise(2, 2, 800)
    system = Recorded(write(tmp_path, sources))
    assert torch.allclose(system.of({"id": "mix_1", "sources": sources}), sources, atol=1e-4)
    with pytest.raises(RecordedError, match="mix_1_source1.wav has 2 channels, the sources have 1"):
        system.of(item())


@pytest.mark.parametrize("spoil, message", [
    (lambda it: [it["sources"]], "has 2 estimates of mix_1, which has 3 sources"),
    (lambda it: [it["sources"][:, :-5]], "mix_1_source1.wav has 795 samples, its source 800"),
    (lambda it: [it["sources"][:1], it["sources"]], "mix_1_source2.wav is at 16000 Hz, others at"),
])
def test_recorded_estimates_that_do_not_fit(tmp_path, spoil, message):
    it = item()
    first, *second = spoil(it)
    if second:
        write(tmp_path, second[0], rate=16000)
    system = Recorded(write(tmp_path, first))
    it = item(3) if "3 sources" in message else it
    with pytest.raises(RecordedError, match=message) as error:
        system.of(it)
    assert "\n" not in str(error.value)


def test_an_empty_folder_is_no_system(tmp_path):
    with pytest.raises(RecordedError, match="has no estimates: they are called like"):
        Recorded(tmp_path)
