"""Speed against plain Salt, as ratios from one run: `python -m bench` (or `make bench`). See docs/benchmarks.md."""
