"""What councilor talks about: pure values and rules, no input or output."""
