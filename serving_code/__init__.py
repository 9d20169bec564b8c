"""The endpoint's container. Ships alone: imports only the standard library, itself and its requirements.txt."""
