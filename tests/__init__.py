"""The tests mirror the folders. Two programs read them: python -m tests.faults, python -m tests.mutation."""
