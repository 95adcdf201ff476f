"""What runs on a history: the workflow's code, its event loop, and what it can call."""
