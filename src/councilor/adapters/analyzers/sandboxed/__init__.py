"""Programs that run inside a sandbox, started by `start`; each has a function `analyze` and a tool to call in it."""
