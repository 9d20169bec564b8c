"""One writer per endpoint: a lease in S3 with a fencing number that only grows.

S3's conditional writes decide who holds it, and S3's own clock when it has expired: LastModified against the Date of
the same answer, so no holder's clock can make two of them. The holder's clock only ever makes it more careful. Should
S3's clock go back, so that nothing ever grows old, who waits counts its own pauses instead. The number is noted on the
endpoint before each call, so that a holder that slept through its lease is refused there too.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from gitops import aws
from gitops.clock import SYSTEM, Clock
from gitops.errors import GitopsError

PREFIX = "leases"  # of the bucket that holds the archives
SECONDS = 60.0  # what a holder that died is waited for
PAUSE = 0.5  # seconds between two looks at a lease that another holds
MOVED = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}


@dataclass(frozen=True)
class Store:
    """Where the lease of one endpoint lies."""

    s3: Any
    bucket: str
    name: str  # the endpoint's

    @property
    def key(self) -> str:
        return f"{PREFIX}/{self.name}.json"

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Entry:
    """What the object says, and S3 of it: when it was written and when it was read, by S3's clock in whole seconds."""

    holder: str
    number: int
    seconds: float
    held: bool
    beat: int = 0  # grows with every sign of life: ETags are of the content, and each has to be another one
    etag: str = ""
    written: datetime | None = None
    asked: datetime | None = None

    @property
    def free(self) -> bool:
        if not self.held or self.written is None or self.asked is None:
            return not self.held
        # both of S3's times are cut to whole seconds: an age above the limit is a true one
        return (self.asked - self.written).total_seconds() > self.seconds

    def text(self) -> bytes:
        members = ("holder", "number", "seconds", "held", "beat")
        return json.dumps({name: getattr(self, name) for name in members}, sort_keys=True).encode()


@dataclass
class Lease:
    """Held between `acquire` and `release`. `who` is shown to those who wait for it."""

    store: Store
    who: str
    seconds: float = SECONDS
    clock: Clock = SYSTEM
    number: int = 0
    _etag: str = field(default="", init=False)
    _beat: int = field(default=0, init=False)
    _since: float = field(default=0.0, init=False)  # this holder's monotonic time before it last wrote
    _told: datetime | None = field(default=None, init=False)  # S3's time then

    def __post_init__(self) -> None:
        self.who = f"{self.who} {uuid.uuid4().hex[:12]}"  # no two holders are alike, whatever they are called

    def acquire(self, floor: int, patience: float) -> None:
        """Take the lease, with a number above `floor`; GitopsError if another holds it for `patience` seconds."""
        deadline = self.clock.monotonic() + patience
        # written before it is read: S3 says that an object is missing only to those who may list the bucket
        if self._write(Entry(self.who, floor + 1, self.seconds, True), ""):
            self.number = floor + 1
            return
        seen, watched = "", 0.0
        while True:
            current = self._read()
            # no sign of life over so many pauses of ours, each as long as was asked for: no clock is looked at
            watched = watched + PAUSE if current and current.etag == seen else 0.0
            seen = current.etag if current else ""
            if current is None or current.free or watched > current.seconds:
                number = max(current.number if current else 0, floor) + 1
                if self._write(Entry(self.who, number, self.seconds, True), current.etag if current else ""):
                    self.number = number
                    return
            elif self.clock.monotonic() > deadline:
                raise GitopsError(
                    f"{self.store.name}: {current.holder} is at work on it; reconcile again when it is done "
                    f"({self.store.where} tells, and expires {current.seconds:g} seconds after its last sign of life)"
                )
            self.clock.sleep(PAUSE)

    def renew(self) -> None:
        """Say that this holder lives; GitopsError if it is the holder no more."""
        self._beat += 1
        if not self._write(Entry(self.who, self.number, self.seconds, True, self._beat), self._etag):
            raise GitopsError(f"{self.store.name}: another build took over meanwhile; this one changes nothing more")

    def keep(self) -> None:
        """Renew if a third of the lease is over; to be called often while waiting."""
        if not 0 <= self.clock.monotonic() - self._since < self.seconds / 3:
            self.renew()

    def now(self) -> datetime:
        """The time by S3's clock, whatever this machine's says; GitopsError as for `renew`."""
        self.keep()
        if self._told is None:
            raise GitopsError(f"{self.store.where}: S3 answered without a date, and a freeze cannot be told")
        return self._told + timedelta(seconds=self.clock.monotonic() - self._since)

    def release(self) -> None:
        """Let the next one in. What goes wrong here is no failure: the lease expires by itself."""
        try:
            self._write(Entry(self.who, self.number, self.seconds, False), self._etag)
        except GitopsError:
            return

    def _read(self) -> Entry | None:
        with _refused(self.store):
            try:
                answer = self.store.s3.get_object(Bucket=self.store.bucket, Key=self.store.key)
            except ClientError as error:
                if aws.missing(error):
                    return None
                raise
            body = answer["Body"].read()
        try:
            document = json.loads(body)
            return Entry(
                holder=str(document["holder"]),
                number=int(document["number"]),
                seconds=float(document["seconds"]),
                held=bool(document["held"]),
                etag=answer["ETag"],
                written=answer["LastModified"],
                asked=aws.told(answer),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise GitopsError(
                f"{self.store.where}: is no lease ({error}); nothing is changed until a person has removed it"
            ) from error

    def _write(self, entry: Entry, etag: str) -> bool:
        """Write the entry where `etag` still is what is there (empty: nothing); True if it is there now."""
        before = self.clock.monotonic()
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        with _refused(self.store):
            try:
                answer = self.store.s3.put_object(
                    Bucket=self.store.bucket, Key=self.store.key, Body=entry.text(), **condition
                )
            except ClientError as error:
                if aws.code(error) not in MOVED and not aws.missing(error):
                    raise
            else:
                self._etag, self._since, self._told = answer["ETag"], before, aws.told(answer)
                return True
        # a retried write finds its own first try there: then it is written
        current = self._read()
        if current is None or (current.holder, current.held) != (entry.holder, entry.held):
            return False
        self._etag, self._since, self._told = current.etag, before, current.asked
        return current.number == entry.number


@contextmanager
def _refused(store: Store) -> Iterator[None]:
    """Turns the store's silence into a refusal: without a lease nothing is changed."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        why = aws.sentence(error) if isinstance(error, ClientError) else str(error)
        raise GitopsError(f"{store.where}: the lease cannot be had ({why}); nothing is changed") from error
