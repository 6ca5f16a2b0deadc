"""Labelled sentences for `make bench-claims`: what each claims, by reading it, and what becomes of the claim.

`labels.md` has the rules, `dev.yaml` and `held_out.yaml` the two halves, `unseen.yaml` the part made after both were
opened, `sources.yaml` the source distributions that referred sentences are cut from, `facts.yaml` the change that the
reports speak of. `labelled` reads them, `matching` decides when two claims are one, `check` shows that every sentence
resolves.
"""
