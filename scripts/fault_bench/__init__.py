"""The fault bench: set-ups, faults, controls, the runs, and the table. `scripts/bench_faults.py` drives them."""
