"""The naive model behind FastAPI, one uvicorn worker: python -m benchmarks.serving.naive_fastapi PORT."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from .naive import Naive


class Asked(BaseModel):
    """A request."""

    userId: str = Field(max_length=256)  # noqa: N815 - the field's name on the wire
    numResults: int = Field(25, ge=1, le=500)  # noqa: N815


class Item(BaseModel):
    """One recommended item."""

    itemId: str  # noqa: N815
    score: float


class Answer(BaseModel):
    """An answer."""

    userId: str  # noqa: N815
    itemList: list[Item]  # noqa: N815


app = FastAPI()
model = Naive()


@app.get("/ping")
def ping() -> dict[str, str]:
    """Ready: the model was loaded on import."""
    return {"status": "ok"}


@app.post("/invocations")
def recommend(asked: Asked) -> Answer:
    """Runs in FastAPI's thread pool, as it is no coroutine."""
    return Answer.model_validate(model.recommend(asked.userId, asked.numResults))


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
