"""`evaluate MODEL ...`: how good is a separator, with intervals, and which of several is better."""

from pathlib import Path

from sep_helpers.commands import common

EXAMPLES = """
# the shipped network on the course's two test views
python -m sep_helpers evaluate voice_separator
# your run beside it, on 50 mixtures of each view, every figure kept in a table
python -m sep_helpers evaluate work/runs/mine voice_separator --n 50 --csv figures.csv
# on your own recordings, or on a view that you froze
python -m sep_helpers evaluate work/runs/mine --corpus ~/recordings
python -m sep_helpers evaluate work/runs/mine --corpus ~/recordings --view my_view.csv
# every figure there is, with floors and ceilings, by kinds of mixtures, and the ten worst
python -m sep_helpers evaluate voice_separator --bss --perceptual --oracles --slices --worst 10
# what another program separated: unseen_00000_source1.wav, unseen_00000_source2.wav ...
python -m sep_helpers evaluate theirs/ --view my_view.csv
"""


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "evaluate", "how good a network is, with intervals",
        "Measure networks on test views: the mean over the mixtures and its 95 % bootstrap "
        "interval,\nbeside the mixture itself (the floor). Several networks are compared with the "
        "first, mixture\nby mixture. The exit code is 1 if a mixture could not be measured.",
        EXAMPLES)
    parser.add_argument("models", nargs="+", metavar="MODEL",
                        help="a .safetensors file, a run's folder, a shipped network's name, or a "
                             "folder of estimates, MIXTURE_source1.wav ...")
    parser.add_argument("--view", type=Path, metavar="CSV",
                        help="a frozen view (default: the test views seen and unseen)")
    parser.add_argument("--n", type=int, help="only the first N mixtures of each view")
    parser.add_argument("--bss", action="store_true", help="SDR, SIR and SAR, too")
    parser.add_argument("--perceptual", nargs="*", metavar="FIGURE",
                        help="stoi, estoi, pesq_nb, pesq_wb (default: all that can be measured)")
    parser.add_argument("--oracles", action="store_true",
                        help="a random mask and the ideal masks beside the networks")
    parser.add_argument("--slices", action="store_true",
                        help="by sex, pitch, level and overlap of the voices")
    parser.add_argument("--worst", type=int, default=0, metavar="N",
                        help="name the N mixtures that each network did worst on")
    parser.add_argument("--in-order", action="store_true",
                        help="output k is for source k, as in networks for stems or categories")
    parser.add_argument("--csv", type=Path, metavar="FILE",
                        help="write every figure, one line a mixture and source")
    common.add_corpus(parser)
    parser.set_defaults(run=run)


def run(args) -> int:
    """Print the summary and the comparisons; 1 if a mixture could not be measured."""
    import pandas as pd

    from sep_helpers import evaluation, perceptual

    models = {name: _system(name) for name in dict.fromkeys(args.models)}
    rates = {model.sample_rate for model in models.values()}
    if len(rates) > 1:
        raise common.CommandError(f"networks for {sorted(rates)} Hz do not compare: evaluate them "
                                  "one by one")
    views = _views(args, common.open_corpus(args.corpus, rates.pop()))
    others = evaluation.floors_and_ceilings() if args.oracles else {
        "mixture": evaluation.mixture_system()}
    figures = () if args.perceptual is None else tuple(args.perceptual or perceptual.NAMES)
    if args.csv:
        common.prepare_csv(args.csv)                       # not after an hour of measuring
    table = pd.concat([evaluation.evaluate_all(others | models, {name: view}, args.bss, figures,
                                               permute=not args.in_order)
                       for name, view in views.items()], ignore_index=True)
    for metric in ("si_sdri", *["sdri", "sir", "sar"] * args.bss, *figures):
        if table[metric].notna().any():
            print(_summary(table, metric), "", sep="\n")
    for line in (*_comparisons(table, list(models)), *_closer(args, table, views, list(models))):
        print(line)
    if args.csv:
        common.write_csv(table, args.csv)
    return 1 if (table["error"] != "").any() else 0


def _system(name: str):
    """A network, or the estimates that lie in a folder."""
    from sep_helpers import evaluation, trained

    folder = Path(name).expanduser()
    if folder.is_dir() and any(folder.glob("*_source1.wav")):
        return evaluation.Recorded(folder)
    return trained.load(name)


def _closer(args, table, views: dict, models: list[str]):
    """What --slices and --worst ask for, of the networks, in lines."""
    from sep_helpers import evaluation, slices

    for name, view in views.items() if args.slices or args.worst else ():
        known = slices.facts(view)
        rows = table[(table["view"] == name) & table["system"].isin(models)]
        if args.slices:
            found = slices.summary(rows, known)[["system", "slice", "value", "n", "text"]]
            yield from ("", f"{name}, SI-SDRi (dB) by kinds of mixtures",
                        found.to_string(index=False))
        for model in models if args.worst else ():
            found = evaluation.worst(slices.join(rows[rows["system"] == model], known), args.worst)
            shown = found[["mixture_id", "si_sdri", "speakers", "sex_pair", "pitch_hz",
                           "level_difference", "note"]]
            yield from ("", f"{name}: the worst of {model}",
                        shown.to_string(index=False, float_format="{:.1f}".format))


def _views(args, corpus) -> dict:
    """name -> view, each with its first --n mixtures."""
    from sep_helpers import course_views, views

    if args.n is not None and args.n < 1:
        raise common.CommandError(f"--n {args.n}: take one mixture at least")
    if not args.view:
        return course_views.test_views(corpus, args.n)
    table = views.read_csv(args.view, corpus)
    chosen = table["mixture_id"].unique()[:args.n]
    return {args.view.stem: views.FrozenView(corpus, table[table["mixture_id"].isin(chosen)])}


def _summary(table, metric: str) -> str:
    from sep_helpers import evaluation

    names = {"si_sdri": "SI-SDRi (dB)", "sdri": "SDRi (dB)", "sir": "SIR (dB)", "sar": "SAR (dB)",
             "stoi": "STOI", "estoi": "extended STOI", "pesq_nb": "PESQ, narrow band",
             "pesq_wb": "PESQ, wide band"}
    shown = evaluation.summary(table, metric)[["system", "view", "n", "failed", "text"]]
    return shown.rename(columns={"text": f"{names[metric]}, 95 %"}).to_string(index=False)


def _comparisons(table, models: list[str]):
    """A line for each later network and view: its gain over the first, paired by mixture."""
    from sep_helpers import evaluation

    for view, rows in table.groupby("view", sort=False):
        first = rows[rows["system"] == models[0]]
        for other in models[1:]:
            mean, low, high = evaluation.paired_difference(rows[rows["system"] == other], first)
            sure = "" if low > 0 or high < 0 else ": no difference shown"
            yield (f"{view}: {other} - {models[0]} = {mean:+.2f} dB ({low:+.2f} to {high:+.2f}), "
                   f"paired{sure}")
