"""What a commit is to the rest: which paths changed, the packed source, the event, and events put back."""
