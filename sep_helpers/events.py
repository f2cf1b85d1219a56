"""TensorBoard's event logs of a run, for those who look at their trainings there.

    with EventLog(folder) as events:
        fit(..., folder, on_step=events.on_step, on_epoch=events.on_epoch)

    %load_ext tensorboard
    %tensorboard --logdir work/runs
"""

from pathlib import Path

from sep_helpers.logs import LOG

FOLDER = "events"
EVERY = 20                   # steps between two points of the curves inside an epoch
CURVES = ("train_si_snr", "val_si_snr", "learning_rate", "grad_norm", "seconds")


class EventLog:
    """Writes <run folder>/events; does nothing, and says so once, where there is no tensorboard.

    A resumed run goes on where it was: what an earlier sitting wrote beyond its last checkpoint
    is dropped from the curves.
    """

    def __init__(self, folder: str | Path, every: int = EVERY):
        self.folder, self.every = Path(folder) / FOLDER, every
        self.writer = None
        self.broken = False

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(self, *error) -> None:
        self._write(lambda: self.writer and self.writer.close())

    def on_step(self, trainer) -> None:
        number = self._number(trainer)
        if number % self.every == 0 and trainer.step:
            self._add(number, {"step/train_si_snr": trainer.sums["si_snr"] / trainer.step,
                               "step/learning_rate": trainer.optimizer.param_groups[0]["lr"]})

    def on_epoch(self, trainer) -> None:
        row = trainer.history[-1]
        self._add(self._number(trainer), {f"epoch/{name}": row[name] for name in CURVES})
        self._write(lambda: self.writer and self.writer.flush())

    def _number(self, trainer) -> int:
        """Steps in all: the axis of every curve, also of an epoch's, so that dropping is simple."""
        return sum(int(row["steps"]) for row in trainer.history) + trainer.step

    def _add(self, number: int, values: dict[str, float]) -> None:
        self._open(number)
        for name, value in values.items():
            self._write(lambda name=name, value=value:
                        self.writer and self.writer.add_scalar(name, value, number))

    def _open(self, number: int) -> None:
        if self.writer is not None or self.broken:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.broken = True
            LOG.info("no event logs: tensorboard is not installed (pip install tensorboard)")
            return
        self._write(lambda: setattr(self, "writer", SummaryWriter(self.folder,
                                                                  purge_step=number)))

    def _write(self, what) -> None:
        """Do something with the files; the training goes on whatever comes of it."""
        if self.broken:
            return
        try:
            what()
        except OSError as error:
            self.broken, self.writer = True, None
            LOG.warning("%s cannot be written any more (%s): no more event logs", self.folder,
                        error)
