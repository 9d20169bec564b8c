"""MovieLens-1M from the user's own download. GroupLens forbids redistribution: nothing of it ships here.

Takes ml-1m.zip or ratings.dat as GroupLens distributes them, or the folder with the leave-one-out files of the NCF
papers (ml-1m.train.rating and ml-1m.test.rating, plain or .xz). What a file must be is known by its digest.
"""

import hashlib
import io
import lzma
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
from problems import ProcessingError

LARGEST = 64 << 20  # bytes: ratings.dat has 24.6 million
# sha256 of contents, unpacked; of the published train file only git's own digest is public
KNOWN = {
    "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20": "ml-1m.zip",
    "231ae11eb060b643a8c58c063cd17ffc743b54f569afb073d1abb6cf126b88b5": "ml-1m.test.rating",
    "git 31ba384fd58dac8fbd09d2dfc6616431f3563ab5": "ml-1m.train.rating",
    "ec945986ebddb409518e0ae46a90a79e4104aebc332b0869a03a6fd234bb00b0": "ml-1m.train.rating, a reconstruction",
}
NAMES = ["user_id", "item_id", "rating", "time"]


def chunks(source: Path, expected: Collection[str]) -> Iterator[pa.Table]:
    """The ratings: user_id, item_id, rating, time, and from the zip also segment (age) and category (first genre).

    `expected` are further digests (sha256) that the user vouches for. Raises ProcessingError for any other file.
    """
    if source.is_dir() and not (source / "ratings.dat").exists():
        yield leave_one_out(source, expected)
    elif source.suffix == ".zip":
        yield zipped(checked(source, expected))
    else:
        path = source / "ratings.dat" if source.is_dir() else source
        yield ratings(checked(path, expected))


def checked(path: Path, expected: Collection[str]) -> bytes:
    """The content, unpacked if it is .xz. Raises ProcessingError unless it is a file that is known."""
    if not path.is_file():
        raise ProcessingError(f"{path}: not there; name your own download of MovieLens-1M (grouplens.org/datasets)")
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
        content = file.read(LARGEST + 1)
    digest = hashlib.sha256(content).hexdigest()
    # S324: git's name of the content, the only published digest of that file
    git = "git " + hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324
    if not {digest, git} & {*KNOWN, *expected}:
        raise ProcessingError(
            f"{path}: sha256 {digest} is not of a MovieLens-1M file known here; download it again, or say "
            f"--sha256 {digest} if this is the file you mean"
        )
    return content


def columns(content: bytes, delimiter: str, places: list[str]) -> pa.Table:
    """NAMES from lines without a head, whole numbers all; time as a timestamp."""
    table = pcsv.read_csv(
        io.BytesIO(content),
        read_options=pcsv.ReadOptions(autogenerate_column_names=True, use_threads=False),
        parse_options=pcsv.ParseOptions(delimiter=delimiter, quote_char=False),
        convert_options=pcsv.ConvertOptions(include_columns=places, column_types=dict.fromkeys(places, pa.int64())),
    ).rename_columns(NAMES)
    return table.set_column(3, "time", table["time"].cast(pa.timestamp("s")))


def ratings(content: bytes) -> pa.Table:
    """ratings.dat: user::item::rating::seconds, which with a single colon has an empty column between any two."""
    return columns(content, ":", ["f0", "f2", "f4", "f6"])


def zipped(content: bytes) -> pa.Table:
    """ml-1m.zip: the ratings, with each user's age and each film's first genre."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        table = ratings(archive.read("ml-1m/ratings.dat"))
        people, films = (
            [line.split("::") for line in archive.read(f"ml-1m/{name}.dat").decode("latin-1").splitlines()]
            for name in ("users", "movies")
        )
    ages = {int(parts[0]): parts[2] for parts in people}
    genres = {int(parts[0]): parts[2].split("|")[0] for parts in films}
    for name, key, known in (("segment", "user_id", ages), ("category", "item_id", genres)):
        place = pc.index_in(table[key], pa.array(list(known), pa.int64()))
        table = table.append_column(
            name, pa.chunked_array([pa.array(list(known.values())).take(place.combine_chunks())])
        )
    return table


def leave_one_out(folder: Path, expected: Collection[str]) -> pa.Table:
    """The NCF papers' files as one table, in which `--split leave_one_out` holds back exactly their test items.

    For that the test rating is moved behind the user's other ones: the papers broke ties in time as files had them.
    """
    train, test = (
        columns(checked(either(folder, f"ml-1m.{part}.rating"), expected), "\t", ["f0", "f1", "f2", "f3"])
        for part in ("train", "test")
    )
    seconds = [table["time"].cast(pa.int64()).to_numpy() for table in (train, test)]
    users = [table["user_id"].to_numpy() for table in (train, test)]
    newest = np.zeros(max(one.max() for one in users) + 1, np.int64)
    np.maximum.at(newest, users[0], seconds[0])
    moved = pa.array(np.maximum(seconds[1], newest[users[1]] + 1)).cast(pa.timestamp("s"))
    return pa.concat_tables([train, test.set_column(3, "time", moved)])


def either(folder: Path, name: str) -> Path:
    """The file of that name, plain or .xz."""
    packed = folder / f"{name}.xz"
    return packed if packed.exists() else folder / name
