"""`python -m sep_helpers evaluate`: the table, the comparison, the file, the exit code."""

import pandas as pd
import pytest
import torch
from toy_corpus import make_corpus

from sep_helpers import audio, models, views
from sep_helpers.__main__ import main
from sep_helpers.views import Recipe

TINY = models.complete({"name": "conv_tasnet", "N": 8, "L": 8, "B": 4, "H": 8, "Sc": 4, "X": 1,
                        "R": 1})


@pytest.fixture
def files(tmp_path):
    """Two networks' files and a corpus, as arguments."""
    for number, name in enumerate("ab"):
        torch.manual_seed(number)
        models.save(models.build(models.complete(TINY)), tmp_path / f"{name}.safetensors")
    make_corpus(tmp_path / "corpus")
    return (str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors"),
            ["--corpus", str(tmp_path / "corpus"), "--n", "3"])


def test_every_view_has_its_floor_and_its_interval(files, capsys):
    assert main(["evaluate", files[0], *files[2]]) == 0
    said = capsys.readouterr().out
    assert said.count(" unseen  3       0 ") == 2           # the network and the mixture itself
    assert "no 'seen' view" in said                         # this corpus cannot serve it
    assert "SI-SDRi (dB), 95 %" in said and "0.0 (0.0 to 0.0)" in said


def test_a_second_network_is_compared_with_the_first_mixture_by_mixture(files, capsys):
    a, b, rest = files
    assert main(["evaluate", a, b, *rest]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "paired" in line]
    assert len(lines) == 1 and lines[0].startswith(f"unseen: {b} - {a} = ")


def test_every_figure_is_kept_and_a_replaced_file_is_told(files, tmp_path, capsys):
    out = tmp_path / "new" / "figures.csv"
    for _ in range(2):
        assert main(["evaluate", files[0], *files[2], "--bss", "--csv", str(out)]) == 0
    table = pd.read_csv(out)
    assert len(table) == 2 * 3 * 2 and {"si_sdri", "sdri", "speaker"} <= set(table)
    assert f"{out} is replaced" in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ["figures.csv"]


def test_a_view_of_ones_own_and_a_mixture_that_cannot_be_read(files, tmp_path, capsys):
    corpus = make_corpus(tmp_path / "other")
    table = views.freeze(corpus, Recipe("mine", "test", n_mixtures=3))
    views.write_csv(table, tmp_path / "mine.csv")
    arguments = ["evaluate", files[0], "--corpus", str(corpus.folder), "--view",
                 str(tmp_path / "mine.csv")]
    assert main(arguments) == 0 and " mine " in capsys.readouterr().out
    (corpus.folder / table["file"][0]).write_bytes(b"broken")
    assert main(arguments) == 1
    assert "could not be measured" in capsys.readouterr().out


def test_every_figure_with_oracles_slices_and_the_worst(files, capsys):
    assert main(["evaluate", files[0], *files[2], "--bss", "--perceptual", "stoi", "pesq_wb",
                 "--oracles", "--slices", "--worst", "2"]) == 0
    said = capsys.readouterr().out
    for words in ("ideal PSM", "SIR (dB), 95 %", "by kinds of mixtures", "level_difference",
                  "unseen: the worst of", "pesq_wb: "):
        assert words in said, words
    assert "PESQ, wide band, 95 %" not in said              # 8 kHz: said in one line instead


def test_estimates_in_files_are_measured_like_a_network(files, tmp_path, capsys):
    corpus = make_corpus(tmp_path / "corpus2")
    table = views.freeze(corpus, Recipe("mine", "test", n_mixtures=2))
    views.write_csv(table, tmp_path / "mine.csv")
    (tmp_path / "theirs").mkdir()
    for item in views.FrozenView(corpus, table):
        for k, source in enumerate(item["sources"].flip(0)):
            audio.write(tmp_path / f"theirs/{item['id']}_source{k + 1}.wav", source, 8000)
    arguments = ["evaluate", str(tmp_path / "theirs"), "--corpus", str(corpus.folder), "--view",
                 str(tmp_path / "mine.csv"), "--csv", str(tmp_path / "out.csv")]
    assert main(arguments) == 0
    found = pd.read_csv(tmp_path / "out.csv").query("system != 'mixture'")
    assert (found["si_sdr"] > 30).all() and len(found) == 4
    next((tmp_path / "theirs").glob("*_source2.wav")).unlink()
    capsys.readouterr()
    assert main(arguments) == 1
    assert "has 1 estimates of" in capsys.readouterr().out


def test_outputs_that_mean_something_keep_their_order(files, tmp_path):
    figures = {}
    for flag in ([], ["--in-order"]):
        assert main(["evaluate", files[0], *files[2], *flag, "--csv", str(tmp_path / "f.csv")]) == 0
        table = pd.read_csv(tmp_path / "f.csv").query("system != 'mixture'")
        figures[bool(flag)] = table.groupby("mixture_id")["si_sdr"].mean()
    assert (figures[False] >= figures[True]).all()


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(files, tmp_path,
                                                                              capsys):
    (tmp_path / "file").write_text("")
    assert main(["evaluate", files[0], *files[2], "--csv", str(tmp_path / "file/f.csv")]) == 1
    said = capsys.readouterr()
    assert "cannot be written" in said.err and "SI-SDRi" not in said.out


def test_what_cannot_be_is_one_line(files, tmp_path, capsys):
    fast = models.complete(TINY | {"sample_rate": 16000})
    models.save(models.build(fast), tmp_path / "fast.safetensors")
    for arguments, words in [([files[0], str(tmp_path / "fast.safetensors")], "do not compare"),
                             ([files[0], "--n", "0"], "one mixture at least"),
                             (["nothing"], "no network there")]:
        assert main(["evaluate", *arguments]) == 1
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
