"""How people and programs reach councilor."""
