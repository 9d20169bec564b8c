import numpy as np
from channels import Data, Train
from ranking import Holdout, group
from slices import slices


def data(segment: list[str] | None = None, size: int = 9) -> Data:
    """Users who took items 0 to their own number, and of whom the next one is held back."""
    user, item = np.array([(user, item) for user in range(size) for item in range(user + 1)]).T
    names = [str(one) for one in range(size + 1)]
    train = Train(names[:-1], names, user, item, user, segment, None)
    asked = np.arange(size)
    held = Holdout(asked, group(asked, asked + 1, asked), group(user, item, asked), size + 1)
    return Data(train, held, "temporal", "")


def users(found: dict, name: str) -> list[int]:
    return np.flatnonzero(found[name]).tolist()


def test_users_are_in_three_parts_by_activity_and_the_new_ones_apart():
    found = slices(data())
    assert users(found, "activity=low") == [0, 1, 2]
    assert users(found, "activity=middle") == [3, 4, 5]
    assert users(found, "activity=high") == [6, 7, 8]
    assert users(found, "users=new") == [0, 1, 2, 3, 4]


def test_items_are_in_two_parts_by_popularity():
    found = slices(data())  # items 0 and 1 of ten are the most popular; user u is held item u + 1 back
    assert (users(found, "items=head"), users(found, "items=tail")) == ([0], [1, 2, 3, 4, 5, 6, 7, 8])


def test_a_segment_is_a_slice_where_users_have_one():
    found = slices(data(["a", "b", "unknown"] * 3))
    assert users(found, "segment=b") == [1, 4, 7]
    assert {name for name in found if name.startswith("segment")} == {"segment=a", "segment=b", "segment=unknown"}
    assert not any(name.startswith("segment") for name in slices(data()))


def test_of_many_segments_the_largest_are_slices():
    found = slices(data(["large", "large", *(f"one {number}" for number in range(28))], size=30))
    assert len([name for name in found if name.startswith("segment")]) == 20
    assert "segment=large" in found
