"""From a finished run, or a built image, to a merge request that asks for its release."""
