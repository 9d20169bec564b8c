"""Several machines that train one model together: a process on each, gradients averaged after each batch.

SageMaker says which machines there are (SM_HOSTS) and which of them this is (SM_CURRENT_HOST); the first one is the
master, rank 0. torchrun's variables go before: RANK and WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from dataset import Integers, TrainingError

PORT = 7777  # SageMaker's machines are the job's own, so any will do
JOIN = timedelta(minutes=10)
# how long a rank waits for the others: the master fits ALS and EASE meanwhile. One that dies is noticed at once
WAIT = timedelta(minutes=60)
LATE, FAREWELL = 2.0, 10.0  # seconds: how late a reason may be, and how long a master that failed waits for all


class PartedError(Exception):
    """Another rank has gone, so this one cannot go on."""


@dataclass(frozen=True)
class Place:
    """This process among the others."""

    rank: int = 0
    size: int = 1
    master: str = ""
    port: int = PORT
    interface: str = ""


@dataclass(frozen=True)
class Group:
    """The processes of one training. Alone (size 1) every method gives back what it was given."""

    rank: int = 0
    size: int = 1
    store: dist.Store | None = None

    @property
    def alone(self) -> bool:
        return self.size == 1

    def share(self, count: int) -> Integers:
        """This rank's share of `count` positions; all shares are as long, so the first ones may be in two of them."""
        return np.arange(self.rank, -(-count // self.size) * self.size, self.size) % count

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its mean over the ranks, all in one message."""
        if self.alone:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with self.together():
            dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def agree(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by rank 0's."""
        if self.alone:
            return
        with self.together():
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def of_first(self, compute: Callable[[], bytes], device: str) -> bytes:
        """What rank 0 computes; the others only wait for it. The device is one that the backend can send from."""
        if self.alone:
            return compute()
        content = compute() if self.rank == 0 else b""
        length = torch.tensor([len(content)], device=device)
        self.agree([length])
        sent = torch.empty(int(length.item()), dtype=torch.uint8)
        if self.rank == 0:
            sent = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else sent
        sent = sent.to(device)
        self.agree([sent])
        return bytes(sent.cpu().numpy())

    def refuse_unless_equal(self, digest: str, device: str) -> None:
        """Raise TrainingError where a rank has other data than rank 0: shares are of the whole, not of a shard."""
        if self.of_first(digest.encode, device) != digest.encode():
            raise TrainingError("the machines have different data; FullyReplicated would be right for the channel")

    @contextmanager
    def together(self) -> Iterator[None]:
        """What all ranks must do. Raises PartedError, with the reason if it is known, once one of them has gone."""
        try:
            yield
        except RuntimeError as error:
            raise PartedError(f"another machine has stopped: {self.last_words() or 'its log says why'}") from error

    def say(self, reason: str) -> None:
        """Leave a reason for the others, who find it when they notice that this rank has gone."""
        with suppress(RuntimeError):  # the master, and the store with it, may have gone first
            if self.store is not None:
                self.store.set("failure", f"{reason} (rank {self.rank})")

    def last_words(self) -> str:
        """The reason that the rank which went has left; it may be a moment late."""
        end = time.monotonic() + LATE
        with suppress(RuntimeError):
            while self.store is not None and time.monotonic() < end:
                if self.store.check(["failure"]):
                    return str(self.store.get("failure").decode())
                time.sleep(LATE / 20)
        return ""

    def leave(self, failed: bool) -> None:
        """Close the connections, by which the others notice a failure; the master keeps the store until they have."""
        dist.destroy_process_group()
        end = time.monotonic() + FAREWELL
        with suppress(RuntimeError):
            left = self.store.add("left", 1) if self.store is not None and failed else self.size
            while self.rank == 0 and self.store is not None and left < self.size and time.monotonic() < end:
                time.sleep(LATE / 20)
                left = self.store.add("left", 0)


def place(variables: Mapping[str, str]) -> Place:
    """Where this process is. Raises TrainingError for variables that contradict each other."""
    hosts = json.loads(variables.get("SM_HOSTS") or "[]")
    current = variables.get("SM_CURRENT_HOST", "")
    if "WORLD_SIZE" in variables:
        rank, size = int(variables.get("RANK", "0")), int(variables["WORLD_SIZE"])
    elif len(hosts) < 2:
        return Place()
    elif current in hosts:
        rank, size = hosts.index(current), len(hosts)
    else:
        raise TrainingError(f"SM_CURRENT_HOST: {current!r} is not in SM_HOSTS; right is one of {', '.join(hosts)}")
    master = variables.get("MASTER_ADDR") or (hosts[0] if hosts else "localhost")
    port = int(variables.get("MASTER_PORT", PORT))
    return Place(rank, size, master, port, variables.get("SM_NETWORK_INTERFACE_NAME", ""))


@contextmanager
def joined(mine: Place, device: str) -> Iterator[Group]:
    """The group, once all ranks are there. If this or another rank fails all of them do, at once.

    Raises TrainingError with the failed rank's reason.
    """
    if mine.size == 1:
        yield Group()
        return
    if mine.interface:
        for backend in ("GLOO", "NCCL"):  # on a machine with several, each would guess
            os.environ.setdefault(f"{backend}_SOCKET_IFNAME", mine.interface)
    try:
        store = dist.TCPStore(mine.master, mine.port, mine.size, mine.rank == 0, JOIN)
        backend = "nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=mine.rank, world_size=mine.size, timeout=WAIT)
    except RuntimeError as error:
        where = f"{mine.master}:{mine.port}"
        raise TrainingError(f"rank {mine.rank} of {mine.size} cannot join at {where}: {error}") from error
    group = Group(mine.rank, mine.size, store)
    try:
        yield group
        with group.together():
            dist.barrier()  # the master keeps the store: it goes last
    except PartedError as error:
        raise TrainingError(str(error)) from error
    except (TrainingError, OSError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        group.say(reason)
        raise TrainingError(reason) from error
    finally:
        group.leave(failed=sys.exc_info()[0] is not None)
