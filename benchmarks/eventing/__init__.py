"""Parts of `make bench-events`: processes that write events, and one with many readers."""
