"""The parts of a plan: each reads data of two commits and returns data. Nothing of either commit is run."""
