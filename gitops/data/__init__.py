"""The data lock, and what the world says about the data behind it: new partitions, feedback, captured requests."""
