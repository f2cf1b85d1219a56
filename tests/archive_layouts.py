"""Small archives with the layouts of the real public corpora, of noises, for tests."""

import io
import shutil
import subprocess
import tarfile
import zipfile

import soundfile
from toy_corpus import noise


def sound(seed, kind="FLAC", rate=16000, seconds=0.2, channels=1):
    """The bytes of a short recording."""
    file = io.BytesIO()
    samples = noise(seed, int(seconds * rate) * channels).reshape(-1, channels)
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


def librispeech(readers=8, subset="dev-clean"):
    files = {"LibriSpeech/README.TXT": b"LibriSpeech", "LibriSpeech/SPEAKERS.TXT": (
        ";ID  |SEX| SUBSET |MINUTES| NAME\n" + "".join(
            f"{100 + r}   | {'FM'[r % 2]} | {subset} | 8.0 | Reader | {r}\n"
            for r in range(readers))).encode()}
    for reader in range(100, 100 + readers):
        for number in range(3):
            name = f"LibriSpeech/{subset}/{reader}/7/{reader}-7-{number:04d}.flac"
            files[name] = sound((reader, number))
        files[f"LibriSpeech/{subset}/{reader}/7/{reader}-7.trans.txt"] = b"words"
    return tar(files)


def fsdd():
    return tar({"free-spoken-digit-dataset-1.0.9/README.md": b"digits"} | {
        f"free-spoken-digit-dataset-1.0.9/recordings/{digit}_{speaker}_{take}.wav":
        sound((digit, take), "WAV", 8000)
        for digit in range(3) for speaker in ("ann", "bob", "cat") for take in range(4)})


def esc10():
    return zipped({"ESC-10-553c/README.md": b"sounds"} | {
        f"ESC-10-553c/{number:03d} - {name}/{fold}-{1000 + clip}-A.ogg":
        sound((number, fold, clip), "OGG", 44100)
        for number, name in enumerate(["Dog bark", "Sea waves", "Rain"], 1)
        for fold in range(1, 6) for clip in range(2)})


def esc50():
    clips = [(fold, 2000 + fold, number, name) for fold in range(1, 6)
             for number, name in enumerate(["dog", "rain"])]
    table = "filename,fold,target,category,esc10,src_file,take\n" + "".join(
        f"{fold}-{clip}-A-{number}.wav,{fold},{number},{name},{number == 0},{clip},A\n"
        for fold, clip, number, name in clips)
    return zipped({"ESC-50-master/meta/esc50.csv": table.encode()} | {
        f"ESC-50-master/audio/{fold}-{clip}-A-{number}.wav": sound((fold, number), "WAV", 44100)
        for fold, clip, number, _ in clips})


def stem_mp4(path, streams=5, seconds=0.5):
    """A film without pictures: `streams` stereo AAC tracks, tones of 200, 400, 600 ... Hz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [shutil.which("ffmpeg"), "-nostdin", "-v", "error", "-y"]
    for stream in range(streams):
        command += ["-f", "lavfi", "-i",
                    f"sine=frequency={200 * (stream + 1)}:sample_rate=44100:duration={seconds}"]
    for stream in range(streams):
        command += ["-map", f"{stream}:a"]
    subprocess.run([*command, "-ac", "2", "-c:a", "aac", "-f", "mp4", str(path)], check=True)
    return path


def musdb(folder, tracks=("train/A - One", "train/B - Two", "test/C & Co: 'Three'")):
    """MUSDB18 excerpts; needs ffmpeg."""
    return zipped({f"{track}.stem.mp4": stem_mp4(folder / f"{n}.stem.mp4").read_bytes()
                   for n, track in enumerate(tracks)})


def tar(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()
