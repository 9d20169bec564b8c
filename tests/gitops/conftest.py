"""Teams, registries and clients on the session's localcloud."""

import pytest

from tests.gitops.serving import Registry
from tests.gitops.team import at_work, connect


@pytest.fixture(scope="module")
def clients(localcloud):
    return connect(localcloud)


@pytest.fixture(scope="module")
def registry(clients):
    return Registry(clients.s3, clients.sagemaker)


@pytest.fixture
def team(tmp_path, clients):
    with at_work(tmp_path / "origin", clients) as found:
        yield found


@pytest.fixture
def script(tmp_path):
    from tests.gitops.loop import raised  # the whole demo: what few tests need

    with raised(tmp_path) as found:
        yield found
