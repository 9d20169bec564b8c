"""Bringing a localcloud up in this process or another, and down again."""

import gc
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path

from . import state
from .images import Images
from .service import CloudError

LOG = "localcloud.log"
_START_SECONDS = 60
_STOP_SECONDS = 10


@dataclass(frozen=True)
class Settings:
    """What `up` was asked for."""

    directory: Path
    port: int = 4566
    region: str = "eu-west-1"
    images: Path | None = None
    git_root: Path | None = None

    @property
    def arguments(self) -> list[str]:
        """The command line that asks for the same."""
        words = ["--directory", str(self.directory), "--port", str(self.port), "--region", self.region]
        words += ["--images", str(self.images)] if self.images else []
        return words + (["--git-root", str(self.git_root)] if self.git_root else [])


def up(settings: Settings, ready: Callable[[state.State], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; every child process group is gone and the state file removed afterwards."""
    images = Images.load(settings.images) if settings.images else Images()
    descriptor = state.lock(settings.directory)
    try:
        # what goes wrong inside is for this file; what `main` says afterwards is for the terminal
        with (settings.directory / LOG).open("a", buffering=1) as log, redirect_stderr(log):
            _serve(settings, images, ready)
    finally:
        (settings.directory / state.FILE).unlink(missing_ok=True)
        os.close(descriptor)


def _serve(settings: Settings, images: Images, ready: Callable[[state.State], None]) -> None:
    from .assembly import assemble  # these load boto3 and moto: needed to serve, not to parse a command line
    from .cloud import Cloud
    from .events.put import publish
    from .processes import Processes
    from .server import Server

    private = settings.directory / "state"
    shutil.rmtree(private, ignore_errors=True)  # what a killed one left
    private.mkdir()
    tokens = {"bot": secrets.token_urlsafe(24), "reviewer": secrets.token_urlsafe(24)}
    git_root = settings.git_root or settings.directory / "git"
    processes = Processes()
    try:
        with _stopped() as stopped, Server(settings.port) as server:
            cloud = Cloud(private, server.endpoint, settings.region, images, processes, publish)
            server.app = assemble(cloud, git_root, tokens)
            gc.collect()
            gc.freeze()  # moto's and botocore's models live as long as the process: not to be looked through again
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            now = state.start_time(os.getpid())
            running = state.State(os.getpid(), now, server.endpoint, settings.region, str(git_root), tokens)
            state.write(settings.directory, running)
            ready(running)
            while not stopped.wait(0.2):  # a signal that another thread received is handled when this one wakes
                pass
            server.shutdown()
    finally:
        processes.stop_all()


@contextmanager
def _stopped() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set; after Ctrl-C this ends in KeyboardInterrupt."""
    event, received = threading.Event(), []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        event.set()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if signal.SIGINT in received:
        raise KeyboardInterrupt


def detach(settings: Settings) -> state.State:
    """Start a localcloud of its own session and return when it is ready; CloudError with its last words if it ends."""
    settings.directory.mkdir(parents=True, exist_ok=True)
    log = settings.directory / LOG
    running = state.read(settings.directory)
    if running and running.alive:
        state.lock(settings.directory)  # taken: says by whom
    log.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "up", *settings.arguments],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _await_ready(settings.directory, process, log)
    except BaseException:  # also Ctrl-C: what was started for the caller does not stay without the caller
        process.terminate()
        process.wait(_STOP_SECONDS)
        raise


def _await_ready(directory: Path, process: "subprocess.Popen[bytes]", log: Path) -> state.State:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        running = state.read(directory)
        if running and running.pid == process.pid:
            return running
        if process.poll() is not None:
            raise CloudError("NotStarted", _last_line(log))
        time.sleep(0.02)
    raise CloudError("NotStarted", f"not ready after {_START_SECONDS} s; see {log}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"ended without a word; see {log}"


def down(directory: Path) -> bool:
    """Stop the localcloud of a directory and wait until it is gone; False if none ran there."""
    deadline = time.monotonic() + _STOP_SECONDS
    while (running := state.read(directory)) is None or not running.alive:
        if not directory.exists() or not state.locked(directory) or time.monotonic() > deadline:
            (directory / state.FILE).unlink(missing_ok=True)
            return False
        time.sleep(0.05)  # it is starting: its state comes last
    _signal(running, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while running.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    if running.alive:
        _signal(running, signal.SIGKILL)  # its keeper ends the children
    (directory / state.FILE).unlink(missing_ok=True)
    return True


def _signal(running: state.State, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(running.pid, number)


def variables(running: state.State) -> dict[str, str]:
    """What a shell exports to talk to a running localcloud."""
    return {
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_ACCESS_KEY_ID": "localcloud",
        "AWS_SECRET_ACCESS_KEY": "localcloud",
        "AWS_DEFAULT_REGION": running.region,
        "AWS_REGION": running.region,
        "GIT_URL": f"{running.endpoint}/_gitlab",
        "GIT_TOKEN": running.tokens.get("bot", ""),
        "GIT_REVIEWER_TOKEN": running.tokens.get("reviewer", ""),
    }
