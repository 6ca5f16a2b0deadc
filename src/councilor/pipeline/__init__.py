"""The way a task travels: what councilor exists for. Sees ports, never adapters."""
