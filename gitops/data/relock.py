"""New data becomes a commit: python -m gitops relock params/ncf.yml

Adds partitions to the data lock by a merge request of its own; params say, for each reason, whether it is merged by
the API or left to a person. The lock is data: no code, and no build file, is generated from it.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gitops.data import lockfile
from gitops.errors import GitopsError
from gitops.hosts import Change, ConflictError, Host
from pipelines import params
from pipelines.names import PartitionKey
from pipelines.params import DataLock, Partition

TRIES = 5  # times to begin again from a fresh head when the branch moved on
KEYS = TypeAdapter(PartitionKey)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What is asked for: which lock, why, with which evidence in the request's text, and who merges."""

    lock: str  # its path in the repository
    reason: str  # of the data lock's reasons
    automatic: bool
    note: str = ""  # Markdown


@dataclass(frozen=True)
class Relocker:
    """Proposes lock files on one git host, from one bucket."""

    host: Host
    s3: Any
    bucket: str
    say: Say = print

    def relock(self, file: Path, reason: str, manifest: str = "") -> None:
        """Propose the manifest's keys for the lock of a params file; without a manifest, all that is new."""
        wanted = params.load(file)
        keys = (
            lockfile.manifest(self.s3, self.bucket, manifest) if manifest else self.new_keys(self.locked(wanted.data))
        )
        self.propose(Order(wanted.data, reason, wanted.refresh.automatic(reason)), keys)

    def new_keys(self, lock: DataLock) -> list[str]:
        """Partitions below raw/<dataset>/ that the lock does not hold, by key."""
        known = {each.key for each in lock.partitions}
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"raw/{lock.dataset}/")
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return sorted(key for key in keys if key not in known and _is_partition(key))

    def locked(self, path: str) -> DataLock:
        """The lock at the branch's head."""
        return self._read(path, self.host.head())[1]

    def propose(self, order: Order, keys: Iterable[str]) -> None:
        """Propose a lock with these keys as well; nothing if it has them all. Raises GitopsError."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Partition] = {}
        for _ in range(TRIES):
            head = self.host.head()
            text, lock = self._read(order.lock, head)
            known = {each.key for each in lock.partitions}
            for key in (key for key in wanted if key not in known and key not in found):
                found[key] = lockfile.measure(self.s3, self.bucket, key)
            added = [found[key] for key in wanted if key in found]
            edited = with_partitions(text, lock, added, order.reason)
            if edited == text:
                self.say(f"{order.lock}: nothing new; no commit is made")
                return None
            try:
                return self._request(order, edited, added, head)
            except ConflictError as error:
                self.say(f"{order.lock}: {error}; again from its new head")
        raise GitopsError(f"{order.lock}: the branch moved {TRIES} times meanwhile; run relock again")

    def _read(self, path: str, head: str) -> tuple[str, DataLock]:
        text = self.host.read(path, head)
        if text is None:
            raise GitopsError(f"{path}: is not on the branch; commit a first one with python -m gitops data")
        return text, params.load_lock(Path(path), text)

    def _request(self, order: Order, text: str, added: list[Partition], head: str) -> None:
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        branch = f"data/{Path(order.lock).name.partition('.')[0]}-{digest}"
        if self._known(branch, order):
            return
        change = Change(branch, title(order, added), body(order, added), {order.lock: text})
        request = self.host.open(change, head)
        self.say(f"{order.lock}: {request.title} ({request.url})")
        if not order.automatic:
            return
        try:
            sha = self.host.merge(request)
        except ConflictError:
            self.host.close(request, "The branch moved on; proposed again from its new head.")
            raise
        self.say(f"{order.lock}: merged as {sha[:12]}")

    def _known(self, branch: str, order: Order) -> bool:
        """Whether these very bytes were proposed before: a person, or the other event, has them already."""
        for request in self.host.find(branch):
            if request.state == "opened" and order.automatic:
                self.host.close(request, "Begun again from the branch's head.")  # left by a run that was killed
            elif request.state in {"opened", "merged"}:
                self.say(f"{order.lock}: proposed already ({request.url})")
                return True
            elif request.state == "closed" and not order.automatic:
                self.say(f"{order.lock}: proposed before and turned down ({request.url})")
                return True
        return False


def params_files(root: Path, manifest: str = "") -> list[Path]:
    """The params files of a project; of the model that a manifest's key, manifests/<model>/<name>, names."""
    if manifest:
        folder, _, rest = manifest.partition("/")
        file = root / "params" / f"{rest.partition('/')[0]}.yml"
        if folder != "manifests" or not file.is_file() or file.parent != root / "params":
            raise GitopsError(f"{manifest}: names no model of params/; upload it as manifests/<model>/<name>.json")
        return [file]
    return [file for file in sorted((root / "params").glob("*.yml")) if not file.name.endswith(".data.yml")]


def with_partitions(text: str, lock: DataLock, added: Iterable[Partition], reason: str) -> str:
    """The lock's text with the partitions as well; the same text if it has them. Raises GitopsError."""
    partitions = lockfile.merged(lock.partitions, added)
    if len(partitions) == len(lock.partitions):
        return text
    return lockfile.render(lock.dataset, reason, partitions, lockfile.comments(text))


def title(order: Order, added: list[Partition]) -> str:
    """`Train ncf on 1 more partition (new-partition)`."""
    model = Path(order.lock).name.partition(".")[0]
    return f"Train {model} on {len(added)} more partition{'s' * (len(added) != 1)} ({order.reason})"


def body(order: Order, added: list[Partition]) -> str:
    """What comes, by key, size and digest; merging it starts training."""
    rows = [f"| `{each.key}` | {each.rows} | {each.bytes} | `{each.sha256[:12]}` |" for each in added]
    lines = ["| partition | rows | bytes | sha256 |", "|---|---|---|---|", *rows, ""]
    note = [order.note, ""] if order.note else []
    return "\n".join([*note, *lines, f"Merging changes `{order.lock}` only, which starts training."]) + "\n"


def _is_partition(key: str) -> bool:
    try:
        KEYS.validate_python(key)
    except ValidationError:
        return False
    return True
