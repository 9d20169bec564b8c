"""Git decides what is trained and served: python -m gitops notify | data | propose | reconcile | status | plan."""
