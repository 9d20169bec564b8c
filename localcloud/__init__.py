"""The AWS that runs on a laptop: `python -m localcloud up`. What is real and what is refused: docs/localcloud.md."""
