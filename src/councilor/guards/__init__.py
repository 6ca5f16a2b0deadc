"""What wraps any port: deadlines now, breakers and fallbacks later."""
