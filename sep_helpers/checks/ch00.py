"""The judge of chapter 00's exercise, which only shows how exercises work."""


def judge_samples(answer) -> str | None:
    """00.1: the number of samples in 2.5 s at 8000 Hz."""
    known = {
        3200: "you divided: a second has 8000 samples, so 2.5 seconds have more",
        20: "that is thousands: 8 kHz are 8000 samples a second",
        16000: "that is two seconds; there is half a second more",
        40000: "those are the bytes of a 16-bit file: count numbers, not bytes",
    }
    try:
        answer = float(answer)
    except (TypeError, ValueError):
        return f"put in a number, not {answer!r}"
    return None if answer == 20000 else known.get(answer, f"{answer:g} it is not: seconds × Hz")


JUDGES = {"00.1": judge_samples}
