"""Taking turns of runs, and running attempts of steps."""
