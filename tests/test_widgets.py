"""widgets: what the desk sounds like is what its lines say; nothing fails in silence."""

import base64
import html
import io
import re

import matplotlib
import pandas as pd
import pytest
import soundfile
import torch
from toy_corpus import make_corpus

from sep_helpers import corpora, widgets
from sep_helpers.views import COLUMNS, FrozenView, LiveView, Recipe, ViewError, freeze, read_csv
from sep_helpers.widgets import MixingDesk, ViewInspector

matplotlib.use("agg")
RATE = 8000


@pytest.fixture
def corpus(tmp_path):
    return make_corpus(tmp_path)


@pytest.fixture
def desk(corpus):
    return MixingDesk(corpus)


def heard(panel) -> list:
    """The sounds a panel offers, decoded: [(time,)]."""
    found = re.findall(r"data:audio/wav;base64,([^\"]+)", panel.shown.value)
    return [soundfile.read(io.BytesIO(base64.b64decode(text)))[0] for text in found]


def lines(panel) -> pd.DataFrame:
    text = re.search(r'<pre class="view-lines"[^>]*>(.*?)</pre>', panel.shown.value, re.S)[1]
    return pd.read_csv(io.StringIO(html.unescape(text)))


def turn(desk, source, **values):
    for name, value in values.items():
        desk.strips[source][name].value = value


def test_the_lines_reproduce_the_sound_when_they_are_read_back(desk, corpus, tmp_path):
    turn(desk, 0, category="cat", level=-31.5)
    turn(desk, 1, category="bob", file="bob/2.flac", level=-20.0, offset=0.35)
    desk.save(tmp_path / "desk.csv")
    item = FrozenView(corpus, read_csv(tmp_path / "desk.csv", corpus))[0]
    assert torch.equal(item["mixture"], desk.item()["mixture"])
    assert lines(desk).equals(read_csv(tmp_path / "desk.csv", corpus))
    mixture, first, second = heard(desk)
    for x, y in [(mixture, item["mixture"]), (first, item["sources"][0]),
                 (second, item["sources"][1])]:
        scale = min(1, 0.999 / item["mixture"].abs().max().item())
        assert len(x) == len(y) and abs(torch.from_numpy(x) - scale * y).max() < 1e-4
    by_hand = corpus.waveform("bob/2.flac")
    by_hand = by_hand * 10 ** ((-20 - corpus.rms_db("bob/2.flac")) / 20)
    assert (item["sources"][1, 2800:2800 + 12000] - by_hand).abs().max() < 1e-3
    assert not item["sources"][1, :2800].any()


def test_the_desk_follows_its_controls(desk):
    assert list(lines(desk).columns) == COLUMNS
    before = desk.shown.value
    turn(desk, 0, category="cat")
    assert desk.strips[0]["file"].options == ("cat/0.flac", "cat/1.flac", "cat/2.flac")
    assert lines(desk).file[0] == "cat/0.flac" and desk.shown.value != before
    turn(desk, 1, offset=2.0)
    assert lines(desk).offset.tolist() == [0, 16000]
    assert lines(desk).length.unique() == [16000 + lines(desk).stop[1]]
    before = lines(desk).gain_db[0]
    turn(desk, 0, level=-30.0)
    assert lines(desk).gain_db[0] == pytest.approx(before - 5)


def test_a_mixture_beyond_full_scale_is_turned_down_for_listening(desk):
    turn(desk, 0, level=-5.0)
    assert "turned down by" in desk.shown.value
    assert 0.99 < max(abs(x).max() for x in heard(desk)) <= 1
    assert desk.item()["mixture"].abs().max() > 1, "the lines stay as they are"


def test_the_same_recording_twice_is_refused_in_one_line(desk):
    turn(desk, 0, category="bob")           # and bob/0.flac is the second source already
    assert "bob/0.flac occurs twice" in desk.shown.value and not heard(desk)
    turn(desk, 0, file="bob/1.flac")
    assert lines(desk).file.tolist() == ["bob/1.flac", "bob/0.flac"]


def test_a_mistake_is_said_and_an_error_of_the_code_is_not_swallowed(desk, monkeypatch):
    def refuse():
        raise ViewError("ann/0.flac occurs <twice>")
    monkeypatch.setattr(desk, "item", refuse)
    desk.refresh()
    assert "ann/0.flac occurs &lt;twice&gt;" in desk.shown.value and not heard(desk)
    monkeypatch.setattr(desk, "item", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):      # in a notebook the Output widget shows it
        desk.refresh()


def test_a_desk_of_three_sources_and_one_that_has_too_few(corpus):
    desk = MixingDesk(corpus, n_sources=3)
    assert len({*lines(desk).category}) == 3 and len(heard(desk)) == 4
    with pytest.raises(ViewError, match="4 sources need as many categories: .* 3 in split 'train'"):
        MixingDesk(corpus, n_sources=4)


def test_the_inspector_shows_each_mixture_of_a_frozen_or_live_view(corpus):
    recipe = Recipe("t", "train", n_mixtures=3, seconds=0.5)
    frozen = FrozenView(corpus, freeze(corpus, recipe))
    for view in frozen, LiveView(corpus, recipe).epoch(1):
        inspector = ViewInspector(view, corpus)
        for index in 0, 2:
            inspector.index.value = index
            item = view[index]
            assert lines(inspector).file.tolist() == [cut.file for cut in item["cuts"]]
            assert len(heard(inspector)) == 3 and len(heard(inspector)[0]) == 4000
            assert lines(inspector).mixture_id[0] == item["id"]
        inspector.index.value = 99          # beyond the last one: the control stops there
        assert lines(inspector).mixture_id[0] == "t_00002"


def test_of_a_live_view_the_inspector_takes_the_first_epoch(corpus):
    live = LiveView(corpus, Recipe("t", "train", n_mixtures=3, seconds=0.5))
    shown = lines(ViewInspector(live, corpus)).file.tolist()
    assert shown == [cut.file for cut in live.epoch(0)[0]["cuts"]]


def test_noise_rooms_and_stereo_are_shown_as_well(corpus):
    recipe = Recipe("n", "train", n_mixtures=1, seconds=0.5, noise_snr_db=[5, 5],
                    rt60=[0.3, 0.3])
    pytest.importorskip("pyroomacoustics", reason="rooms need pyroomacoustics")
    noisy = ViewInspector(LiveView(corpus, recipe, noise=corpus).epoch(0), corpus)
    assert lines(noisy).source.tolist() == [0, 1, -1] and len(heard(noisy)) == 4
    one, two = (text.split() for text in lines(noisy).room[:2])
    assert one[:3] == two[:3] and one[3] != two[3], "one room, two places"
    music = corpora.embedded("music", sample_rate=22050, channels=2)
    desk = MixingDesk(music, split="val")
    assert all(x.shape == (110250, 2) for x in heard(desk))


def test_a_table_is_sorted_by_any_column_and_what_is_missing_comes_last():
    table = pd.DataFrame({"network": ["<LSTM>", "VTF", "GAB"], "dB": [2.0, None, 5.0]})
    panel = widgets.SortedTable(table, by="dB")

    def order():
        return re.findall(r"(LSTM|VTF|GAB)", panel.shown.value)

    assert order() == ["GAB", "LSTM", "VTF"] and "NaN" not in panel.shown.value
    panel.descending.value = False
    assert order() == ["LSTM", "GAB", "VTF"]
    panel.column.value = "network"
    assert order() == ["LSTM", "GAB", "VTF"] and "<LSTM>" not in panel.shown.value


def test_the_widgets_show_themselves(desk, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    desk._ipython_display_()
    assert shown == [desk.widget] and desk.shown in desk.widget.children


def test_stereo_is_played_in_stereo():
    x = torch.stack([torch.ones(100), -torch.ones(100)]) * 0.5
    shown = widgets.sound("both <ears>", x, RATE)
    wav = base64.b64decode(re.search(r"base64,([^\"]+)", shown)[1])
    samples, rate = soundfile.read(io.BytesIO(wav))
    assert samples.shape == (100, 2) and rate == RATE and "both &lt;ears&gt;" in shown
    assert samples[0].tolist() == pytest.approx([0.5, -0.5], abs=1e-4)
