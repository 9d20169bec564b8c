"""How fast an endpoint answers, measured from this machine.

    python -m serving_code.bench --archive DIR                  # starts the endpoint on a model's folder or .tar.gz
    python -m serving_code.bench --url http://host:8080 --archive DIR      # asks a running one, with the model's ids

The callers are one process of this machine, so what they take is not there for an endpoint beside them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import uvloop

from .__main__ import listening
from .callers import Heard, call
from .errors import ArchiveError
from .json_text import parse
from .unpack import unpack

ASKED = 500  # users, spread over all
LISTED = 50  # items of a ranking
RESULTS = 10
WARM_UP = 0.3  # seconds before each measurement, which do not count
START_SECONDS = 120.0
MOST = 2**33
LOADING = "being loaded"

Questions = dict[str, list[dict[str, Any]]]


class BenchError(Exception):
    """What keeps it from measuring."""


def questions(users: Sequence[str], items: Sequence[str]) -> Questions:
    """What is asked, by name. Without ids of the model only what anybody can ask."""
    some = users[:: max(1, len(users) // ASKED)][:ASKED]
    listed = list(items[:: max(1, len(items) // LISTED)][:LISTED])
    known = [{"operation": "getRecommendations", "userId": user, "numResults": RESULTS} for user in some]
    found: Questions = {
        "known user": known,
        "unknown user": [
            {"operation": "getRecommendations", "userId": f"\0nobody {n}", "numResults": RESULTS} for n in (1, 2)
        ],
        # seen items are not in a table of answers, so the score is asked
        "live-scored": [{**one, "filter": {"excludeSeen": False}} for one in known],
        f"ranking of {len(listed)}": [
            {"operation": "getPersonalizedRanking", "userId": user, "inputList": listed} for user in some if listed
        ],
    }
    return {name: asked for name, asked in found.items() if asked}


def encoded(path: str, host: str, body: dict[str, Any]) -> bytes:
    """A request as it goes over the wire."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


def measure(url: str, asked: Questions, connections: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    """One row for each kind of question and number of connections. Raises BenchError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise BenchError(f"--url: {url!r} is not http://host:port, with the path of a model if it is one of many")
    address, path = (parts.hostname, parts.port or 80), parts.path if len(parts.path) > 1 else "/invocations"
    rows = []
    for name, bodies in asked.items():
        requests = [encoded(path, parts.netloc, body) for body in bodies]
        for count in connections:
            try:
                uvloop.run(call(address, requests, count, min(WARM_UP, seconds)))
                heard = uvloop.run(call(address, requests, count, seconds))
            except OSError as error:
                raise BenchError(f"--url: {url} does not answer: {error}") from error
            rows.append({"what": name, "connections": count, **summary(heard, seconds)})
    return rows


def summary(heard: Heard, seconds: float) -> dict[str, Any]:
    """Percentiles in milliseconds, and answers for each second."""
    taken = sorted(heard.seconds)
    at = {share: taken[min(len(taken) - 1, int(len(taken) * share))] * 1e3 if taken else None for share in (0.5, 0.99)}
    return {
        "answers": len(taken),
        "errors": heard.errors,
        "p50_ms": at[0.5] and round(at[0.5], 3),
        "p99_ms": at[0.99] and round(at[0.99], 3),
        "per_second": round(len(taken) / seconds, 1),
    }


@contextmanager
def started(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """An endpoint on a model's folder: its url, and what it took. Raises BenchError if it does not get ready."""
    with listening(0) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="bench-") as base:
        (Path(base) / "model").symlink_to(folder.resolve())
        environment = {**os.environ, "SAGEMAKER_BASE_DIR": base, "SAGEMAKER_BIND_TO_PORT": str(port)}
        begun = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "serving_code", "serve"], env=environment)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(f"{url}/ping", process)
            yield url, {"start_seconds": round(time.perf_counter() - begun, 3), "process": process.pid}
        finally:
            process.terminate()
            process.wait()


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Ask /ping until it says 200."""
    until, said = time.monotonic() + START_SECONDS, LOADING
    while time.monotonic() < until and process.poll() is None and LOADING in said:
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - http, to this machine
                return
        except HTTPError as error:
            said = json.load(error)["error"]["message"]
        except OSError:  # it does not listen yet
            time.sleep(0.005)
    raise BenchError(f"--archive: the endpoint did not get ready: {said}")


def resident_mb(process: int) -> float:
    """Memory of a process and of those it started, shared pages counted once for each."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    status = Path(f"/proc/{process}/status").read_text()
    own = int(status.partition("VmRSS:")[2].split()[0]) / 1e3
    return round(own + sum(resident_mb(int(child)) for child in children), 1)


def ids_of(folder: Path | None) -> tuple[list[str], list[str]]:
    """Users and items of a model's folder. Raises BenchError."""
    if folder is None:
        return [], []
    try:
        return parse((folder / "users.json").read_bytes()), parse((folder / "items.json").read_bytes())
    except (OSError, ValueError) as error:
        raise BenchError(f"--archive: {folder} is not a model's folder: {error}") from error


@contextmanager
def folder_of(archive: Path | None) -> Iterator[Path | None]:
    """The folder of an archive that is one, or is a .tar.gz."""
    if archive is None or not archive.is_file():
        yield archive
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        unpack(archive, Path(scratch), MOST)
        yield Path(scratch)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    names = list(rows[0])
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure as asked. Raises BenchError."""
    with folder_of(arguments.archive) as folder:
        asked = questions(*ids_of(folder))
        given = (arguments.connections, arguments.seconds)
        if arguments.url:
            return {"url": arguments.url, "rows": measure(arguments.url, asked, *given)}
        if folder is None:
            raise BenchError("--archive or --url: neither is given, so there is nothing to ask")
        with started(folder) as (url, server):
            process = server.pop("process")
            server["resident_mb"] = resident_mb(process)
            rows = measure(url, asked, *given)
            return {"server": {**server, "resident_mb_after": resident_mb(process)}, "rows": rows}


def counts(text: str) -> list[int]:
    """Numbers of connections."""
    found = [int(one) for one in text.split(",")]
    if not all(1 <= one <= 1000 for one in found):
        raise ValueError(text)
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m serving_code.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--url", help="of a running endpoint")
    arguments.add_argument("--archive", type=Path, help="a model's folder or .tar.gz")
    arguments.add_argument("--seconds", type=float, default=3.0, help="of each measurement (3)")
    arguments.add_argument("--connections", type=counts, default=[1, 8], help="comma separated (1,8)")
    arguments.add_argument("--json", type=Path, help="write what was measured to this file too")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was measured. 1 if nothing could be, or if an answer was an error."""
    arguments = parser().parse_args(argv)
    try:
        found = run(arguments)
    except (BenchError, ArchiveError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in found.get("server", {}).items():
        print(f"{name}: {value}")
    print(table(found["rows"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(row["errors"] for row in found["rows"]))


if __name__ == "__main__":
    sys.exit(main())
