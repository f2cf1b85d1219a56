"""`separate SOUND ...`: files, folders, or mixtures of the corpus by their ID, into WAV files."""

from pathlib import Path

from sep_helpers.commands import common

EXAMPLES = """
# two voices of one recording, into talk_source1.wav and talk_source2.wav beside it
python -m sep_helpers separate talk.mp3
# every recording below a folder, by a network of your own, into another folder
python -m sep_helpers separate recordings --model work/runs/mine --out separated
# a song, by a network trained on stems: song_vocals.wav, song_drums.wav ..., and pictures
python -m sep_helpers separate song.wav --model work/runs/music --plot
# a test mixture by its ID: the mixture itself is written, too, and the gain is printed
python -m sep_helpers separate unseen_00007 --out listen
"""


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "separate", "recordings -> one WAV file a voice",
        "Separate recordings of any length and rate. Each becomes WAV files of exactly its own "
        "length and\nrate: 16 bits a voice, 24 a stem of a song, so that they add up to it. A file "
        "that cannot be\nused is named, the others go on, and the exit code is 1. Nothing that is "
        "there is written over\nwithout --overwrite.", EXAMPLES)
    parser.add_argument("sounds", nargs="+", metavar="SOUND",
                        help="a sound file, a folder of them, or the ID of a mixture or recording "
                             "of the corpus")
    parser.add_argument("--model", default=common.NETWORK,
                        help="the name of a network that comes with the course (`models` lists "
                             "them), a .safetensors file, or a run's folder (default: "
                             "%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER",
                        help="where to write (default: beside each file; for an ID, here)")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there")
    parser.add_argument("--plot", action="store_true",
                        help="draw the outputs' spectrograms and masks, as PNG files beside them")
    parser.add_argument("--stem-mp4", action="store_true",
                        help="write a song's four stems as one .stem.mp4, too (takes ffmpeg)")
    parser.add_argument("--chunk", type=float, metavar="SECONDS", default=30.0,
                        help="separate longer recordings in chunks of this length, stitched "
                             "without swapping voices (default: %(default)g)")
    common.add_corpus(parser)
    parser.set_defaults(run=run)


def run(args) -> int:
    """Separate everything; 1 if something could not be."""
    from sep_helpers import separating, trained

    model = trained.load(args.model)
    jobs, faults = [], []
    for sound in args.sounds:
        try:
            jobs += separating.find_jobs(sound, args.out)
        except separating.SeparatingError as error:
            faults.append(str(error))
    jobs = separating.tell_apart(jobs)
    total = len(jobs) + len(faults)
    print(f"{args.model} separates {model.n_sources} sources at {model.sample_rate} Hz")
    with common.progress(len(jobs), "mixtures") as bar:
        for job in jobs:
            try:
                for line in _one(model, job, args):
                    bar.write(line)
            except (ValueError, RuntimeError, OSError) as error:
                fault = str(error).splitlines()[0]
                faults.append(fault if str(job.sound) in fault else f"{job.sound}: {fault}")
            bar.update()
    for fault in faults:
        print(f"not separated: {fault}")
    if faults:
        print(f"{len(faults)} of {total} could not be separated")
    return 1 if faults else 0


def _one(model, job, args) -> list[str]:
    """Separate one mixture; the lines to print about it."""
    from sep_helpers import separating, song_separation

    names = song_separation.names_of(model)
    outputs = job.outputs(names)
    there = [path for path in outputs if path.exists()]
    if there and not args.overwrite:
        return [f"{job.sound}: {there[0]} is there already, left alone (--overwrite replaces it)"]
    if isinstance(job.sound, str) and song_separation.is_for_stems(model):
        raise separating.SeparatingError(f"{job.sound}: no file; this network is for songs: give "
                                         "it a sound file")
    if isinstance(job.sound, str):
        corpus = common.open_corpus(args.corpus, model.sample_rate)
        notes = separating.separate_item(model, separating.find_item(corpus, job.sound), job)
    else:
        with common.progress(0, "chunks", job.sound.name) as bar:
            def on_chunk(done, total):
                bar.total, bar.n = total, done
                bar.refresh()
            notes = separating.separate_file(model, job.sound, outputs, args.chunk, on_chunk)
    if args.stem_mp4:
        notes.append(f"and {song_separation.write_stem_file(outputs, names, job.stem).name}")
    if args.plot:
        from sep_helpers import separation_pictures

        pictures = separation_pictures.draw(outputs, names, job.stem,
                                             song_separation.is_for_stems(model))
        notes.append(f"drawn in {' and '.join(path.name for path in pictures)}")
    replaced = ", replaced" if there else ""
    return [f"{job.sound} -> {outputs[0]} ... {outputs[-1].name}{replaced}",
            *(f"  {note}" for note in notes)]
