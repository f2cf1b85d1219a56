"""A headless Chromium, a static file server and a JupyterLab server, all on localhost."""

import functools
import http.server
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--mute-audio", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")  # its event loop would disturb other tests if it outlived them
def browser():
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser):
    """new_page(width=1000, height=900, **context options) -> page; its errors fail the test."""
    contexts, troubles = [], []

    def open_page(width: int = 1000, height: int = 900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on("console", lambda message: troubles.append(f"console: {message.text}")
                if message.type == "error" else None)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles, "\n".join(troubles)


@pytest.fixture
def page(new_page):
    return new_page()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture(scope="module")
def serve():
    """serve(folder) -> base URL of a server of that folder's files."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(_Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def jupyterlab(browser, tmp_path_factory):
    """jupyterlab(folder) -> base URL of a JupyterLab on that folder; kernels see sep_helpers."""
    if not importlib.util.find_spec("jupyterlab"):
        pytest.skip("jupyterlab is not installed")
    processes = []

    def start(folder: Path) -> str:
        own = tmp_path_factory.mktemp("jupyter")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
                 "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
        folders = {name: str(own / name) for name in names}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        log = own / "lab.log"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
                   "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=",
                   f"--ServerApp.root_dir={folder}", "--ServerApp.terminals_enabled=False",
                   "--LabApp.news_url=None", "--LabApp.extension_manager=readonly",
                   "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
        with open(log, "w") as sink:
            process = subprocess.Popen(command, env={**os.environ, **folders, "PYTHONPATH": path},
                                       stdout=sink, stderr=subprocess.STDOUT)
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        _wait_for(url + "/api/status", process, log)
        return url

    yield start
    for process in processes:
        process.terminate()
        process.wait(20)


@pytest.fixture
def run_all(new_page):
    """run_all(url, name, last) -> JupyterLab's page of that notebook, run until `last` is shown."""

    def run(url: str, name: str, last: str, seconds: float = 30):
        page = new_page(1300, 1000)
        page.goto(f"{url}/lab/tree/{name}?reset")
        page.get_by_text("| Idle").wait_for()  # the kernel is there: without one, Lab would ask
        page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
        page.get_by_text(last, exact=True).first.wait_for(timeout=1000 * seconds)
        return page

    return run


def _wait_for(url: str, process: subprocess.Popen, log: Path, seconds: float = 60):
    """Until the server answers; its log is the message if it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
