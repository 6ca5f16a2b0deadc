"""One folder or file for each thing in the world that councilor uses."""
