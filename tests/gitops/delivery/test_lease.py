"""The lease against a real S3 API; only clocks are made up."""

import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from gitops.clock import Clock
from gitops.delivery.lease import Lease, Store
from gitops.errors import GitopsError
from tests.gitops.team import Elsewhen


@pytest.fixture(scope="module")
def bucket(localcloud):
    name = f"leases-{uuid.uuid4().hex[:8]}"
    s3 = localcloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    return name


@pytest.fixture
def store(localcloud, bucket):
    return Store(localcloud.client("s3"), bucket, f"endpoint-{uuid.uuid4().hex[:8]}")


class Hand:
    """A holder's clock that stands still until it is moved; sleeping moves it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.seconds, sleep=self.move)

    def move(self, seconds: float) -> None:
        self.seconds += seconds


class Shifted:
    """S3, whose clock has jumped by `seconds`: every Date it answers says so."""

    def __init__(self, s3, seconds: float) -> None:
        self.s3, self.seconds = s3, seconds

    def put_object(self, **request):
        return self.s3.put_object(**request)

    def get_object(self, **request):
        answer = self.s3.get_object(**request)
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        headers["date"] = format_datetime(parsedate_to_datetime(headers["date"]) + timedelta(seconds=self.seconds))
        return answer


def taken(store: Store, who: str = "a", **more) -> Lease:
    lease = Lease(store, who, clock=Hand().clock(), **more)
    lease.acquire(0, 0)
    return lease


def test_a_second_holder_waits_and_is_then_refused_with_the_first_ones_name(store):
    first = taken(store, "build 1")
    with pytest.raises(GitopsError, match=r"build 1 .* is at work on it"):
        taken(store, "build 2")
    first.renew()


def test_a_released_lease_is_taken_over_with_a_higher_number(store):
    first = taken(store)
    first.release()
    second = taken(store, "b")
    assert (first.number, second.number) == (1, 2)


def test_the_number_is_above_what_the_endpoint_has_seen_though_the_lease_was_lost(store):
    lease = Lease(store, "a", clock=Hand().clock())
    lease.acquire(41, 0)
    assert lease.number == 42


def test_f11_a_lease_whose_holder_died_expires_by_s3s_clock(store):
    dead = taken(store, seconds=60)
    with pytest.raises(GitopsError):
        taken(replace(store, s3=Shifted(store.s3, 59)), "b")
    second = taken(replace(store, s3=Shifted(store.s3, 62)), "b")
    assert second.number == dead.number + 1


def test_a_holder_that_slept_through_its_lease_is_refused(store):
    first = taken(store)
    second = taken(replace(store, s3=Shifted(store.s3, 100)), "b")
    with pytest.raises(GitopsError, match="took over"):
        first.renew()
    first.release()  # changes nothing: it is not its lease any more
    second.renew()


@pytest.mark.parametrize("jump", [-1e9, -3600.0, 30.0, 3600.0, 1e9])
def test_no_jump_of_a_holders_own_clock_lets_two_hold_it(store, jump):
    hand = Hand()
    first = Lease(store, "a", clock=hand.clock())
    first.acquire(0, 0)
    hand.move(jump)
    waiting = Hand()
    with pytest.raises(GitopsError, match="is at work"):
        Lease(store, "b", clock=waiting.clock()).acquire(0, abs(jump) if abs(jump) < 50 else 1)
    first.keep()  # and a clock that jumped makes it look again
    second = taken(replace(store, s3=Shifted(store.s3, 100)), "b")
    hand.move(jump)
    with pytest.raises(GitopsError, match="took over"):
        first.keep()
    assert second.number > first.number


def test_s3s_clock_going_back_frees_nothing(store):
    taken(store)
    with pytest.raises(GitopsError, match="is at work"):
        taken(replace(store, s3=Shifted(store.s3, -3600)), "b")


def test_a_dead_lease_from_s3s_future_is_taken_when_it_stayed_the_same_for_as_long_as_it_holds(store):
    """S3's clock went back an hour: the lease grows no older, and nobody renews it."""
    dead = taken(store, seconds=60)
    waiting = Hand()
    second = Lease(replace(store, s3=Shifted(store.s3, -3600)), "b", clock=waiting.clock())
    second.acquire(0, 90)
    assert (second.number, 60 < waiting.seconds - 1000 < 62) == (dead.number + 1, True)


def test_a_lease_that_is_renewed_is_never_taken_however_often_somebody_looks(store):
    first, looks = taken(store, seconds=60), Hand()

    def sleep(seconds: float) -> None:
        looks.move(seconds)
        if (looks.seconds - 1000) % 20 == 0:  # as often as its holder writes it
            first.renew()

    waiting = Clock(monotonic=lambda: looks.seconds, sleep=sleep)
    with pytest.raises(GitopsError, match="is at work"):
        Lease(store, "b", clock=waiting).acquire(0, 200)


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_time_is_s3s_whatever_a_holder_thinks(store, hours):
    hand = Hand()
    lease = Lease(replace(store, s3=Elsewhen(store.s3, NOON)), "a", clock=hand.clock())
    lease.acquire(0, 0)
    hand.move(5)
    assert lease.now() == NOON + timedelta(seconds=5)
    hand.move(3600 * hours)  # and where its own clock jumped, S3 is asked again
    assert lease.now() == NOON


NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


def test_a_lease_that_is_kept_is_written_again_after_a_third_of_it(store):
    hand = Hand()
    lease = Lease(store, "a", seconds=60, clock=hand.clock())
    lease.acquire(0, 0)

    written = Counting(store.s3)
    lease.store = replace(store, s3=written)
    lease.keep()
    hand.move(19)
    lease.keep()
    assert written.puts == 0
    hand.move(2)
    lease.keep()
    assert written.puts == 1


class Counting:
    def __init__(self, s3) -> None:
        self.s3, self.puts = s3, 0

    def __getattr__(self, name):
        return getattr(self.s3, name)

    def put_object(self, **request):
        self.puts += 1
        return self.s3.put_object(**request)


def test_of_many_at_once_one_holds_it(store):
    holders = [Lease(store, str(number), clock=Hand().clock()) for number in range(8)]
    together, won = threading.Barrier(len(holders)), []

    def run(lease: Lease) -> None:
        together.wait()
        try:
            lease.acquire(0, 0)
        except GitopsError:
            return
        won.append(lease)

    threads = [threading.Thread(target=run, args=(lease,)) for lease in holders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].renew()


class Echo:
    """S3 behind a network that loses the answer of the first write: botocore writes again and is told 412."""

    def __init__(self, s3) -> None:
        self.s3, self.lost = s3, 1

    def __getattr__(self, name):
        return getattr(self.s3, name)

    def put_object(self, **request):
        if self.lost:
            self.lost = 0
            self.s3.put_object(**request)
        return self.s3.put_object(**request)


def test_a_write_whose_answer_was_lost_is_recognised_as_ones_own(store):
    lease = taken(replace(store, s3=Echo(store.s3)))
    assert lease.number == 1
    lease.store.s3.lost = 1
    lease.renew()
    lease.renew()
    assert lease.number == 1


class Silent:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name):
        def call(**request):
            raise self.error

        return call


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://s3"),
        ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "GetObject"),
    ],
)
def test_a_store_that_does_not_answer_refuses(store, error):
    with pytest.raises(GitopsError, match=r"the lease cannot be had .* nothing is changed"):
        taken(replace(store, s3=Silent(error)))
    lease = taken(store)
    lease.store = replace(store, s3=Silent(error))
    with pytest.raises(GitopsError, match="nothing is changed"):
        lease.renew()
    lease.release()


def test_an_object_that_is_no_lease_refuses(store):
    store.s3.put_object(Bucket=store.bucket, Key=store.key, Body=b"[]")
    with pytest.raises(GitopsError, match="is no lease"):
        taken(store)


def test_who_looked_before_a_sign_of_life_does_not_take_over_after_it(store):
    """The waiter's look said that the lease is over; its holder, alive after all, wrote before the waiter did."""
    first = taken(store)

    class Late(Shifted):
        def put_object(self, **request):
            if "IfMatch" in request:
                first.renew()
            return super().put_object(**request)

    with pytest.raises(GitopsError, match="is at work"):
        taken(replace(store, s3=Once(Late(store.s3, 100), store.s3)), "b")
    first.renew()


class Once:
    """One S3 for the first look, and another one for what comes after the first write that was refused."""

    def __init__(self, first, then) -> None:
        self.s3, self.then = first, then

    def get_object(self, **request):
        return self.s3.get_object(**request)

    def put_object(self, **request):
        try:
            return self.s3.put_object(**request)
        finally:
            self.s3 = self.then if "IfMatch" in request else self.s3
