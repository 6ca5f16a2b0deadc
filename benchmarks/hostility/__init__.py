"""The cases of `benchmarks/hostile.py`, and what carries them out and judges them from outside."""
