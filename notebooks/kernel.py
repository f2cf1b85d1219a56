"""Run the cells of a notebook, and find the errors that did not stop them."""

import asyncio
import math
import signal
from itertools import chain
from pathlib import Path
from queue import Empty

import render
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from traitlets import Type, default


class PatientChannel(AsyncZMQSocketChannel):
    """Looks for the reply to a cell once a second, whether or not it was told of one.

    While a cell runs, nbclient sends the state of Output widgets through the socket that will
    bring the cell's reply. The socket announces only changes: when a message comes in just as one
    goes out, nobody is told of it, and the run would stand still for ever.
    """

    async def get_msg(self, timeout: float | None = None) -> dict:
        left = math.inf if timeout is None else timeout
        while left > 1:
            try:
                return await super().get_msg(1)
            except Empty:
                left -= 1
        return await super().get_msg(left)


class PatientClient(AsyncKernelClient):
    shell_channel_class = Type(PatientChannel)


class PatientManager(AsyncKernelManager):
    @default("client_factory")
    def _patient_client(self) -> type:
        return PatientClient


class InterruptibleClient(NotebookClient):
    """Ctrl-C ends the run as it ends any other: nbclient's own handler only kills the kernel."""

    interrupted = False

    async def async_execute_cell(self, *arguments, **named):
        self.task = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.interrupt)
        return await super().async_execute_cell(*arguments, **named)

    def interrupt(self) -> None:
        self.interrupted = True
        self.task.cancel()


def execute(notebook, folder: Path, env: dict, **hooks) -> None:
    """Run a notebook's cells in place, in a fresh kernel that stands in `folder`.

    Raises CellExecutionError, DeadKernelError, and KeyboardInterrupt on Ctrl-C.
    """
    client = InterruptibleClient(
        notebook, timeout=None, kernel_name="python3", coalesce_streams=True,
        kernel_manager_class=PatientManager, extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        resources={"metadata": {"path": str(folder)}}, **hooks)
    try:
        client.execute(env=env)
    except (asyncio.CancelledError, DeadKernelError):
        if client.interrupted:
            raise KeyboardInterrupt from None
        raise


def hidden_error(notebook) -> str | None:
    """The first error that did not end the run: a widget's callback, a cell allowed to fail."""
    cells = [cell.get("outputs", []) for cell in notebook.cells]
    for where, found in (("a widget", render.widget_outputs(notebook)), ("a cell", cells)):
        for output in chain.from_iterable(found):
            if output["output_type"] == "error":
                return f"{where}: {output['ename']}: {first_line(output['evalue'])}"
    return None


def first_line(text: str) -> str:
    return text.strip().split("\n")[0]
