"""Cases for `make bench-consensus`: real changes, judged for real by the whole pipeline.

`matters` makes them; `minds` are the models behind the local server, with delays and one that hangs.
"""
