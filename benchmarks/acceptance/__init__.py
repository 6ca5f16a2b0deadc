"""Cases for `make bench-accept`: right and wrong patches of real libraries, with their truth, and what judges them.

`operators` and `features` propose edits, `plot` tries them, `survey` knows which tests each one fails, `bases` plants,
`wrongs` finds wrong patches, `matching` chooses those that look like right ones, `owntests` and `attacks` make the
other arms, `cases` and `keeping` hold and keep them all, `judging` is the product's own path, `judged` what came of a
case, `figures` and `tables` what came of all of them. They share nothing with the product's mutants.
"""
