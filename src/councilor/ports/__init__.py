"""What councilor needs from the world, as Protocols; adapters implement them."""
