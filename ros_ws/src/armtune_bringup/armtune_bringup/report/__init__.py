"""One folder a person opens after practice: numbers with intervals, plots, videos, config."""
