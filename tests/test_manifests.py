"""manifests: a corpus says what it holds, and every row that cannot be true is named."""
import pytest
from toy_corpus import make_folder, two_voices, write_manifest

from sep_helpers.corpora import CorpusError, open_corpus
from sep_helpers.manifests import files_below, read_manifest


def test_a_manifest_without_samples_gets_them_from_the_headers(tmp_path):
    corpus = open_corpus(two_voices(tmp_path))
    assert corpus.folder == tmp_path.resolve() and list(corpus.table.samples) == [1600, 1600]
    assert list(corpus.table.split) == ["train", "test"]


def test_a_manifest_of_categories_with_names_like_numbers(tmp_path):
    make_folder(tmp_path, speakers=2, recordings=1)
    write_manifest(tmp_path, ["s0/0.wav,007,train,1600", "s1/0.wav,NA,train,1600"],
                   "file,category,split,samples")
    corpus = open_corpus(tmp_path)
    assert list(corpus.table.category) == ["007", "NA"] and corpus.kind == "category"
    assert "speaker" not in corpus.table


@pytest.mark.parametrize("columns, row, kind, category", [
    ("file,speaker,split", "s0/0.wav,ann,train", "speaker", "ann"),
    ("file,category,split", "s0/0.wav,rain,train", "category", "rain"),
    ("file,track,stem,split", "s0/0.wav,song,drums,train", "stem", "drums"),
    ("file,track,category,split", "s0/0.wav,song,drums,train", "stem", "drums"),
    ("file,speaker,category,split", "s0/0.wav,ann,sung,train", "speaker", "sung")])
def test_the_columns_tell_the_kind_and_category_is_always_there(tmp_path, columns, row, kind,
                                                                category):
    make_folder(tmp_path, speakers=1, recordings=1)
    write_manifest(tmp_path, [row], columns)
    table, found = read_manifest(tmp_path)
    assert (found, list(table.category)) == (kind, [category])
    assert list(table.columns)[:len(columns.split(","))] == columns.split(",")


def test_a_byte_order_mark_and_quoted_commas_do_no_harm(tmp_path):
    make_folder(tmp_path, speakers=1, recordings=2)
    text = 'file,speaker,split,text\ns0/0.wav,a,train,"yes, but"\ns0/1.wav,b,train,no\n\n'
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8-sig")
    table, _ = read_manifest(tmp_path)
    assert list(table.text) == ["yes, but", "no"] and list(table.columns)[0] == "file"


@pytest.mark.parametrize("row, message", [
    ("s1/9.wav,s1,test", "row 4: 's1/9.wav' is not there: fetch it again or delete its row"),
    ("../s.wav,s1,test", r"row 4: '../s.wav' is outside .*relative"),
    ("s0/../../s.wav,s1,test", "is outside"),
    ("/etc/passwd,s1,test", "row 4: '/etc/passwd' is outside"),
    ("s0/0.wav,s1,test", "row 4: 's0/0.wav' is listed twice: keep one row"),
    ("s1/1.wav,s1,dev", "row 4: 'dev' is not a split: use train, val, test"),
    ("s1/1.wav,,test", "row 4: 's1/1.wav' is without a speaker: name one")])
def test_faulty_rows_are_named(tmp_path, row, message):
    with pytest.raises(CorpusError, match=message) as caught:
        open_corpus(two_voices(tmp_path / "corpus", row))
    assert "\n" not in str(caught.value) and "manifest.csv" in str(caught.value)


@pytest.mark.parametrize("text, message", [
    ("file,split\na.wav,train\n", "lacks the column speaker .or category, or track and stem.: "
     "it has file, split"),
    ("name,speaker,split\na.wav,x,train\n", "lacks the column file: it has name"),
    ("file,speaker,split\n", "lists no recordings"),
    ("", "is not a CSV table"),
    ("file,speaker,split\na,b,train\n\nc,d,e,f,g\n",
     "line 4: 5 fields, the head has 3: is there"),
    ("file,speaker,split\na,b\n", "line 2: 2 fields, the head has 3"),
    ("file,speaker,split\na,b,train,x\n", "line 2: 4 fields, the head has 3"),
    ("file,speaker,speaker\na,b,c\n", "the column 'speaker' twice: rename one"),
    ('file,speaker,split\n"a,b,train\n', "is not a CSV table")])
def test_faulty_manifests_are_refused(tmp_path, text, message):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(CorpusError, match=message):
        open_corpus(tmp_path)


def test_samples_that_are_no_number_are_refused(tmp_path):
    make_folder(tmp_path, speakers=2, recordings=1)
    write_manifest(tmp_path, ["s0/0.wav,s0,train,1600", "s1/0.wav,s1,train,many"],
                   "file,speaker,split,samples")
    with pytest.raises(CorpusError, match="row 3: 'many' is no number of samples"):
        open_corpus(tmp_path)
    write_manifest(tmp_path, ["s0/0.wav,s0,train,1600", "s1/0.wav,s1,train,-1"],
                   "file,speaker,split,samples")
    with pytest.raises(CorpusError, match="row 3: '-1' is no number of samples"):
        open_corpus(tmp_path)


@pytest.mark.parametrize("samples", ["0", "-3", "1.5", "nan", "", "1e300", "inf"])
def test_samples_must_be_whole_and_positive(tmp_path, samples):
    make_folder(tmp_path, speakers=1, recordings=1)
    write_manifest(tmp_path, [f"s0/0.wav,s0,train,{samples}"], "file,speaker,split,samples")
    with pytest.raises(CorpusError, match="row 2: .* is no number of samples"):
        read_manifest(tmp_path)


def test_files_below_sees_every_depth(tmp_path):
    make_folder(tmp_path / "deep/er", speakers=2, recordings=1)
    (tmp_path / "top.txt").write_text("")
    assert files_below(tmp_path) == {"top.txt", "deep/er/s0/0.wav", "deep/er/s1/0.wav"}
