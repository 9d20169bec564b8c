"""A data set with a known right answer, and the archive trained on it that training, processing and serving test.

Even users like even items, odd users odd ones; each user's own item is held back to the last week. With what a user
has seen left out, the one right first recommendation is that item. Every item is as popular as every other.

    python tests/training_code/checkerboard.py      # writes the archive again, beside this file
"""

import datetime
import hashlib
import json
import resource
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = Path(__file__).with_name("archive")
SIZE = 40
MONDAY = datetime.datetime(2026, 6, 1)
COLUMNS = {"user": "who", "item": "what", "time": "at"}
# few epochs or few factors: a board is a rule to be found, and a large network would rather learn it by heart
HYPERPARAMETERS = {
    "gmf": {"epochs": 20, "lr": 0.02, "factor_num": 2},
    "mlp": {"epochs": 3, "lr": 0.01, "factor_num": 32},
    "neumf": {"epochs": 20, "lr": 0.02, "factor_num": 2},
    "neumf_pretrained": {"epochs": 3, "lr": 0.01, "factor_num": 2, "als_factors": 4, "als_reg": 0.01},
    "als": {"als_factors": 4, "als_reg": 0.01},
    "ease": {"ease_reg": 10.0},
}
SMALL = {"batch_size": 128, "num_layers": 2, "patience": 0}
Row = tuple[object, object, object]


def rows() -> list[Row]:
    """(user, item, time): three weeks of history, then each user's own item in the last one.

    History begins behind the user's own item and goes around, so that no item is the last one of many users.
    """
    found: list[Row] = []
    for user in range(SIZE):
        liked = [item % SIZE for item in range(user + 2, user + SIZE, 2)]
        for place, item in enumerate(liked):
            found.append((f"u{user:02}", f"i{item:02}", MONDAY + datetime.timedelta(days=place % 21, minutes=user)))
        found.append((f"u{user:02}", f"i{user:02}", MONDAY + datetime.timedelta(days=26, minutes=user)))
    return found


def write_partitions(folder: Path, weeks: list[pa.Table]) -> None:
    """Write data/ with one partition for each table, and lock/lock.json that names them."""
    partitions = []
    for number, table in enumerate(weeks):
        key = f"raw/board/week=2026-{20 + number}/part-0.parquet"
        path = folder / "data" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        partitions.append({"key": key, "sha256": digest, "bytes": len(content), "rows": table.num_rows})
    (folder / "lock").mkdir(exist_ok=True)
    lock = {"dataset": "board", "reason": "manual", "partitions": partitions}
    (folder / "lock" / "lock.json").write_text(json.dumps(lock))


def table(found: list[Row]) -> pa.Table:
    """Rows as a partition."""
    columns = zip(*found, strict=True) if found else ([], [], [])
    return pa.table(dict(zip(COLUMNS.values(), (list(column) for column in columns), strict=True)))


def prepare_arguments(folder: Path, *more: str) -> list[str]:
    """prepare.py's arguments for what write_partitions wrote."""
    names = ("lock", "data", "train", "holdout", "report")
    folders = [part for name in names for part in (f"--{name}-dir", str(folder / name))]
    return [*folders, "--columns", json.dumps(COLUMNS), "--as-of", "2026-07-01T00:00:00Z", *more]


def run(program: Path, arguments: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a container would: its own folder, an otherwise empty environment."""
    command = [sys.executable, str(program), *arguments]
    environment = {"PATH": "/usr/bin:/bin", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = sys.argv[2:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_out_of_disk(program: Path, arguments: list[str], limit: int) -> subprocess.CompletedProcess[str]:
    """As `run`, where no file can grow beyond `limit` bytes: the kernel fails the write, as of a full disk."""
    command = [sys.executable, "-c", LIMITED, str(limit), str(program), *arguments]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """No file of this process can grow beyond `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def prepared(folder: Path) -> Path:
    """The board as prepare.py leaves it: folder/train, folder/holdout, folder/report."""
    write_partitions(folder, [table(rows())])
    done = run(ROOT / "processing_code" / "prepare.py", prepare_arguments(folder))
    assert done.returncode == 0, done.stderr
    return folder


def trained(folder: Path, model_dir: Path, *more: str, models: str = "neumf") -> subprocess.CompletedProcess[str]:
    """Train on folder/train into model_dir, with the settings of the first of the models."""
    arguments = ["--train-dir", str(folder / "train"), "--model-dir", str(model_dir), "--models", models]
    given = {**SMALL, **HYPERPARAMETERS[models.split(",", maxsplit=1)[0]]}
    arguments += [part for name, value in given.items() for part in (f"--{name}", str(value))]
    return run(ROOT / "training_code" / "train.py", [*arguments, *more])


def unpacked(archive: Path, folder: Path) -> Path:
    """The members of an archive, in a folder."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        result = trained(prepared(Path(scratch)), Path(scratch, "model"))
        print(result.stdout, result.stderr)
        unpacked(Path(scratch, "model", "neumf.tar.gz"), ARCHIVE)
