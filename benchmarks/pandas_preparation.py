"""What interactions.sql does, in pandas as a careful person writes it: the contender of benchmarks.preparation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

LONGEST = 256
DAY = pd.Timedelta(days=1)


def prepare(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read data/, write train/ and holdout/ into settings["output"]; returns how many of what."""
    columns = settings["columns"]
    raw = pd.concat(
        [pd.read_parquet(path, columns=list(columns.values())) for path in sorted((folder / "data").glob("*"))]
    )
    events = valid(
        raw.rename(columns={column: name for name, column in columns.items()}), pd.Timestamp(settings["as_of"])
    )
    cutoff = events["time"].max() - settings["holdout_days"] * DAY
    before = events[events["time"] <= cutoff]
    pairs = before.groupby(["user", "item"], as_index=False, sort=False).agg(
        time=("time", "min"), events=("time", "size")
    )
    pairs = pairs[pairs.groupby("item")["user"].transform("size") >= settings["min_item_users"]]
    pairs = pairs[pairs.groupby("user")["item"].transform("size") >= settings["min_user_interactions"]]
    users, items = (pd.Index(sorted(pairs[name].unique())) for name in ("user", "item"))
    after = events[(events["time"] > cutoff) & events["user"].isin(users) & events["item"].isin(items)]
    held = after.groupby(["user", "item"], as_index=False, sort=False).agg(
        time=("time", "min"), events=("time", "size")
    )
    known = held.merge(pairs[["user", "item"]], how="left", on=["user", "item"], indicator=True)
    held = held[(known["_merge"] == "left_only").to_numpy()]
    output = Path(settings["output"])
    for name, table in (("train", pairs), ("holdout", held)):
        write(output / name, table, users, items)
    return {"users": len(users), "items": len(items), "train": len(pairs), "holdout": len(held)}


def valid(raw: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Rows with usable ids (as text) and a time between 1970 and as_of, each kept once."""
    time = pd.to_datetime(raw["time"], errors="coerce")
    right = raw["user"].notna() & raw["item"].notna() & time.between(pd.Timestamp(0), as_of)
    user, item = (raw.loc[right, name].astype(str) for name in ("user", "item"))
    for ids in (user, item):
        fits = (ids.str.strip() != "") & (ids.str.len() <= LONGEST) & ~ids.str.match(r"-\d")
        user, item = user[fits.reindex(user.index)], item[fits.reindex(item.index)]
    return pd.DataFrame({"user": user, "item": item, "time": time[user.index]}).drop_duplicates()


def write(folder: Path, table: pd.DataFrame, users: pd.Index, items: pd.Index) -> None:
    """interactions.parquet with positions, sorted as prepare.py sorts it."""
    folder.mkdir(parents=True)
    coded = table.assign(user=users.get_indexer(table["user"]), item=items.get_indexer(table["item"]))
    coded = coded.astype({"user": "int32", "item": "int32", "events": "int32"}).sort_values(["user", "time", "item"])
    coded.to_parquet(folder / "interactions.parquet", compression="zstd", index=False)
