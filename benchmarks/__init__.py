"""Side-by-side timings that anyone can run: `make bench`. Every figure is a ratio measured in one run."""
