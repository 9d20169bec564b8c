"""How a batch transform cuts a file into requests and puts the answers together again. Nothing here does I/O."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future

Submit = Callable[[bytes], "Future[bytes]"]


class PayloadError(Exception):
    """A record that no request may carry; the text is for the job's log."""


def payloads(lines: Iterable[bytes], split: str, strategy: str, limit: int) -> Iterator[bytes]:
    """The bodies of the requests for one file. `limit` is in bytes; 0 is none.

    Split `None`: the whole file. `Line`: each line by itself (`SingleRecord`), or as many as fit (`MultiRecord`).
    PayloadError for a record over the limit.
    """
    if split == "None":
        yield _checked(b"".join(lines), limit)
        return
    records = (_checked(line.removesuffix(b"\n"), limit) for line in lines)
    yield from records if strategy == "SingleRecord" else _packed(records, limit)


def _packed(records: Iterable[bytes], limit: int) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for record in records:
        if waiting and limit and size + len(record) + 1 > limit:
            yield b"\n".join(waiting)
            waiting, size = [], 0
        size += len(record) + (1 if waiting else 0)
        waiting.append(record)
    if waiting:
        yield b"\n".join(waiting)


def _checked(record: bytes, limit: int) -> bytes:
    if limit and len(record) > limit:
        raise PayloadError(f"Too much data for max payload size: {len(record)} bytes, {limit} allowed")
    return record


def assembled(answers: Iterable[bytes], how: str) -> Iterator[bytes]:
    """The pieces of the output file: the answers one after the other, with `Line` each ending its line."""
    for answer in answers:
        yield answer + b"\n" if how == "Line" and not answer.endswith(b"\n") else answer


def in_order(bodies: Iterable[bytes], submit: Submit, ahead: int) -> Iterator[bytes]:
    """The answers in the order of the requests, of which at most `ahead` are under way or waiting to be taken."""
    waiting: list[Future[bytes]] = []
    for body in bodies:
        waiting.append(submit(body))
        if len(waiting) >= ahead:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()
