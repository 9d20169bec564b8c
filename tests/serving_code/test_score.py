"""The parts of the fast path, each against the slow way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving_code.constants import COPY_UP_TO, held, product
from serving_code.errors import ArchiveError
from serving_code.ids import FewIds, ManyIds
from serving_code.ncf import NCF, Tower
from serving_code.ordering import best

floats = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0]) | st.floats(-10, 10, width=32)


@given(arrays.arrays(np.float32, st.integers(1, 60), elements=floats), st.integers(1, 70))
@settings(max_examples=50, deadline=None)
def test_the_best_are_those_of_a_stable_sort(scores: np.ndarray, count: int):
    order = np.argsort(-scores, kind="stable")[:count]
    assert best(scores, count).tolist() == order[np.isfinite(scores[order])].tolist()


@given(st.lists(st.text(max_size=5), unique=True, max_size=40), st.lists(st.text(max_size=5), max_size=10))
@settings(max_examples=50, deadline=None)
def test_many_ids_are_found_and_written_as_few_are(names: list[str], others: list[str]):
    few, many = FewIds(names), ManyIds(names)
    assert [many.find(one) for one in names + others] == [few.find(one) for one in names + others]
    assert many.written(range(len(names))) == few.written(range(len(names)))
    assert len(many) == len(few)


@pytest.mark.parametrize("kind", [FewIds, ManyIds])
def test_an_id_twice_is_refused(kind: type):
    with pytest.raises(ArchiveError, match="twice"):
        kind(["a", "b", "a"])


def unaligned(array: np.ndarray) -> np.ndarray:
    """The same numbers at an odd address, as protobuf leaves them."""
    found = np.frombuffer(b"x" + array.tobytes(), array.dtype, array.size, 1).reshape(array.shape)
    assert not found.flags.aligned
    return found


def test_a_matrix_at_an_odd_address_gives_the_same_product():
    random = np.random.default_rng(0)
    vector, matrix = random.standard_normal(64, dtype=np.float32), random.standard_normal((64, 9000), dtype=np.float32)
    np.testing.assert_allclose(product(vector, unaligned(matrix)), vector @ matrix, rtol=1e-4, atol=1e-4)


def test_only_a_small_constant_is_copied():
    small, large = (unaligned(np.zeros(size, dtype=np.float32)) for size in (10, COPY_UP_TO // 4 + 1))
    assert held(small).flags.aligned
    assert held(large) is large


@pytest.mark.parametrize("items", [1, 95, 96, 97, 1000])
@pytest.mark.parametrize("widths", [(128, 64, 32), (8,), (4, 2)])
def test_a_tower_climbed_in_blocks_is_the_network(items: int, widths: tuple[int, ...]):
    random = np.random.default_rng(items)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    layers = tuple((normal(into, out) / 4, normal(out)) for into, out in zip(widths, (*widths[1:], 1), strict=True))
    tower = Tower(normal(3, widths[0]), unaligned(normal(items, widths[0])), layers)
    score = NCF(normal(items), None, tower)
    for user in range(3):
        hidden = tower.users[user] + tower.items
        for weight, bias in layers:
            hidden = np.maximum(hidden, 0) @ weight + bias
        expected = hidden[:, 0] + score.bias
        np.testing.assert_allclose(score.row(user), expected, rtol=1e-4, atol=1e-4)
        pairs = score.pairs(np.full(items, user), np.arange(items))
        np.testing.assert_allclose(pairs, expected, rtol=1e-4, atol=1e-4)
