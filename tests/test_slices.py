"""slices: facts measured on signals whose facts are known, bins in words, means that add up."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sep_helpers import slices
from sep_helpers.measuring import EvaluationError
from sep_helpers.metrics import si_sdr

RATE = 8000


def buzz(hertz: float, seconds: float = 1.0, rate: int = RATE, vibrato: float = 0.02) -> np.ndarray:
    """A voice-like tone: harmonics that fall off, a little vibrato, some noise."""
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * (hertz * t + vibrato * hertz / (2 * np.pi * 5) * np.sin(2 * np.pi * 5 * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, int(0.45 * rate / hertz)))
    return 0.1 * tone + 0.001 * np.random.default_rng(0).standard_normal(len(t))


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
@pytest.mark.parametrize("hertz", [70, 110, 155, 220, 330])
def test_pitch_of_a_known_voice(hertz, rate):
    assert slices.pitch(buzz(hertz, rate=rate), rate) == pytest.approx(hertz, rel=0.03)


def test_pitch_is_of_the_voiced_part_alone():
    noise = 0.02 * np.random.default_rng(1).standard_normal(RATE)
    assert slices.pitch(np.concatenate([noise, buzz(140), np.zeros(RATE)]), RATE) == pytest.approx(
        140, rel=0.03)
    for wave in (noise, np.zeros(RATE), np.zeros(10)):
        assert math.isnan(slices.pitch(wave, RATE))


def view(rows: list[list[np.ndarray]], **columns) -> list:
    """A view of mixtures of these sources; columns: {name: value of each file in turn}."""
    files = [f"{i}_{j}.wav" for i, sources in enumerate(rows) for j in range(len(sources))]
    items = []
    for i, sources in enumerate(rows):
        stack = torch.from_numpy(np.stack(sources)).float()
        cuts = [SimpleNamespace(file=f"{i}_{j}.wav", category="v") for j in range(len(sources))]
        items.append({"id": f"m{i}", "mixture": stack.sum(0), "sources": stack, "cuts": cuts})
    result = View(items)
    table = pd.DataFrame({"file": files, **columns})
    result.corpus = SimpleNamespace(sample_rate=RATE, table=table)
    return result


class View(list):
    corpus = None


def test_facts_of_mixtures_that_are_known():
    low, high = buzz(110), buzz(220)
    half = np.where(np.arange(RATE) < RATE // 2, high, 0)
    table = slices.facts(view(
        [[low, high], [low, 0.5 * low], [low, half], [low, 0.1 * high, high]],
        sex=["M", "F", "M", "M", "m", "f", "M", "F", ""],
        language=["en", "en", "en", "de", "en", "en", "en", "en", "en"]))
    assert table.index.name == "mixture_id" and table.index.tolist() == ["m0", "m1", "m2", "m3"]
    assert table["sex_pair"].tolist() == ["different sex", "same sex", "different sex", "unknown"]
    assert table["sexes"].tolist() == ["f+m", "m+m", "f+m", "unknown"]
    assert table["language"].tolist() == ["en", "de+en", "en", "en"]
    assert table["pitch_distance"].tolist() == pytest.approx([12, 0, 12, 0], abs=0.5)
    assert table["level_difference"].iloc[1] == pytest.approx(6.02, abs=0.01)
    assert table["overlap"].tolist() == pytest.approx([1, 1, 0.5, 1], abs=0.03)
    mixture, sources = torch.from_numpy(low + high), torch.from_numpy(np.stack([low, high]))
    assert table["input_si_sdr"].iloc[0] == pytest.approx(
        si_sdr(mixture.expand(2, -1), sources).mean().item(), abs=1e-3)
    assert table["n_sources"].tolist() == [2, 2, 2, 3] and (table["duration"] == 1).all()
    assert table["pitch_hz"].iloc[0].split("/")[0] in ("109", "110", "111")


def test_facts_of_a_corpus_that_says_nothing_and_of_silence_and_stereo():
    items = view([[buzz(110), np.zeros(RATE)]])
    known = slices.facts(items).iloc[0]
    assert known["sex_pair"] == known["language"] == "unknown"
    assert known["pitch_hz"].endswith("/?") and math.isnan(known["pitch_distance"])
    assert known["overlap"] == 0
    stereo = [{**item, "mixture": item["mixture"].expand(2, -1),
               "sources": item["sources"][:, None].expand(-1, 2, -1)}
              for item in view([[buzz(110), buzz(220)]])]
    assert slices.facts(stereo)["pitch_distance"].item() == pytest.approx(12, abs=0.5)


def test_mixtures_that_cannot_be_read_have_no_facts():
    class Broken(View):
        def __getitem__(self, index):
            if index == 1:
                raise OSError("gone")
            return super().__getitem__(index)

    good = view([[buzz(110), buzz(220)]] * 3)
    broken = Broken(good)
    broken.corpus = good.corpus
    assert slices.facts(broken).index.tolist() == ["m0", "m2"]
    with pytest.raises(EvaluationError, match="no mixture that can be read"):
        slices.facts([])


def test_numbers_become_words_in_their_order():
    found = slices.binned(pd.Series([0.5, 2.5, 9.0, math.nan]), [2.5, 5])
    assert found.tolist() == ["under 2.5", "2.5 to 5", "5 or more", "unknown"]
    assert list(found.cat.categories) == ["under 2.5", "2.5 to 5", "5 or more", "unknown"]
    assert slices.binned(pd.Series([1.0, 2.0, 3.0, 4.0])).tolist() == ["under 2.5"] * 2 + [
        "2.5 or more"] * 2


def figures(values, system="a") -> pd.DataFrame:
    return pd.DataFrame([{"system": system, "view": "test", "mixture_id": f"m{i}", "source": s,
                          "si_sdri": v} for i, v in enumerate(values) for s in (0, 1)])


KNOWN = pd.DataFrame({"sex_pair": ["same sex", "different sex", "same sex", "different sex"],
                      "level_difference": [1.0, 4.0, 2.0, math.nan]},
                     index=["m0", "m1", "m2", "m3"])


def test_a_slice_has_the_mean_of_its_mixtures_and_all_add_up():
    table = pd.concat([figures([2.0, 8.0, 4.0, math.nan]), figures([0.0] * 4, "floor")])
    rows = slices.summary(table, KNOWN, ("sex_pair", "level_difference"),
                          edges={"level_difference": [2.5]})
    own = rows[rows["system"] == "a"].set_index(["slice", "value"])
    assert own.loc[("sex_pair", "same sex"), "mean"] == 3.0
    assert own.loc[("sex_pair", "different sex"), ["n", "failed", "mean"]].tolist() == [1, 1, 8.0]
    assert own.loc[("level_difference", "under 2.5"), "mean"] == 3.0
    assert own.loc[("level_difference", "unknown"), "text"] == "not measured"
    assert (rows.groupby(["system", "slice"])[["n", "failed"]].sum().sum(1) == 4).all()
    assert rows["slice"].tolist()[:2] == ["sex_pair"] * 2
    assert rows.loc[rows["slice"] == "level_difference", "value"].tolist()[:3] == [
        "under 2.5", "2.5 or more", "unknown"]


def test_mixtures_of_which_nothing_is_known_are_a_slice_too():
    rows = slices.summary(figures([2.0, 8.0, 4.0, 6.0]), KNOWN.iloc[:3], ("sex_pair",
                                                                         "level_difference"))
    assert rows.groupby("slice")["n"].sum().tolist() == [4, 4]
    assert rows[rows["value"] == "unknown"]["mean"].tolist() == [6.0, 6.0]


def test_facts_are_joined_by_mixture_and_strangers_refused():
    table = figures([2.0, 8.0])
    joined = slices.join(table, KNOWN)
    assert joined["sex_pair"].tolist() == ["same sex"] * 2 + ["different sex"] * 2
    assert len(joined) == len(table)
    with pytest.raises(EvaluationError, match="facts are of other mixtures"):
        slices.join(table, KNOWN.set_index(pd.Index(list("wxyz"))))
    with pytest.raises(EvaluationError, match="nothing is known of 'age': slice by sex_pair, "):
        slices.summary(table, KNOWN, ("age",))
