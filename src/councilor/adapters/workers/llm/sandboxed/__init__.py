"""Programs that run inside the sandbox, on the repository's interpreter, with the standard library only."""
