"""Ways to run what is not trusted."""
