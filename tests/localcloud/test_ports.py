"""Ports for containers."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from localcloud import ports


def test_no_port_is_given_twice_before_somebody_listens_on_it():
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(lambda _: ports.free(), range(800)))
    assert len(set(given)) == 800


def test_a_port_on_which_somebody_listens_is_not_given():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        taken = listening.getsockname()[1]
        with pytest.raises(RuntimeError, match="is free"):
            ports.free(range(taken, taken + 1))
