"""What wraps any port: deadlines, repetitions, breakers, measures, fallbacks; `app/guarding.py` puts them together."""
