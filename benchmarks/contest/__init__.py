"""The parts of `benchmarks/store.py` and `benchmarks/lineage.py`: our store, MLflow's, a large blob, a full store."""
