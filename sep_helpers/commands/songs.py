"""`songs FOLDER ...`: stem networks measured on whole songs, as music separation is measured."""

from pathlib import Path

from sep_helpers.commands import common

EXAMPLES = """
# a run on the test songs of a folder of stems, DSD100 or MUSDB18, beside floors and ideal masks
python -m sep_helpers songs data/musdb18-7s --model work/runs/music
# on the embedded song, every stem brought to one level, only the SDR, every figure kept
python -m sep_helpers songs music --model work/runs/music --rms-db -25 --quick --csv figures.csv
"""


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "songs", "how good a stem network is on whole songs",
        "Measure stem networks by museval's protocol: SDR, ISR, SIR and SAR in windows of a "
        "second, the\nmedian over a song's windows, then over songs. Higher is better. A window "
        "in which a stem is\nsilent has no figure, and is counted. The floors (the mixture as each "
        "stem, equal parts of\nit) and the ideal masks stand beside.", EXAMPLES)
    parser.add_argument("folder", help="songs as stems: folders of your own, DSD100, MUSDB18, "
                                       "a corpus with a manifest, or music, the embedded one")
    parser.add_argument("--model", action="append", default=[], metavar="MODEL",
                        help="a run's folder or a .safetensors file; several may be given")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"),
                        help="which songs (default: %(default)s)")
    parser.add_argument("--rms-db", type=float, metavar="DB",
                        help="bring every stem that sounds to this level (default: as mixed)")
    parser.add_argument("--quick", action="store_true", help="SDR only")
    parser.add_argument("--csv", type=Path, metavar="FILE",
                        help="write every figure, one line a song and stem")
    parser.set_defaults(run=run)


def run(args) -> int:
    """Print a table of all systems; 0."""
    import pandas as pd

    from sep_helpers import song_evaluation, song_separation, stems, trained

    if args.csv:
        common.prepare_csv(args.csv)
    networks = {name: trained.load(name) for name in dict.fromkeys(args.model)}
    forms = {(m.sample_rate, *song_separation.names_of(m)) for m in networks.values()} or {
        (22050, *stems.STEMS)}
    if len(forms) > 1:
        raise common.CommandError("networks of different rates or stems do not compare: measure "
                                  "them one by one")
    rate, *names = forms.pop()
    view = song_evaluation.song_view(_corpus(args.folder, rate, names), args.split, names,
                                     args.rms_db)
    systems = {**song_evaluation.floors_and_ceilings(), **networks}
    table = pd.concat([song_evaluation.evaluate_songs(system, view, name, filters=not args.quick)
                       for name, system in systems.items()], ignore_index=True)
    shown = song_evaluation.summary(table).dropna(axis=1, how="all")
    print(f"{len(view)} songs of {args.split} in {args.folder}; dB, medians over songs (song_sdr: "
          "mean over songs of the whole song's SDR)")
    print(shown.to_string(index=False, float_format="{:.2f}".format))
    if args.csv:
        common.write_csv(table, args.csv)
    return 0


def _corpus(folder: str, rate: int, names: list[str]):
    """The songs in stereo, which a mono network separates channel by channel."""
    from sep_helpers import corpora, stems

    embedded = folder == "music" and not Path(folder).is_dir()
    where = corpora.embedded("music", sample_rate=22050, channels=2).folder if embedded else folder
    return stems.open_stems(where, rate, channels=2, names=names)
