"""From a deploy file to an endpoint that serves it: `decide` is pure, `reconcile` carries out and verifies."""
