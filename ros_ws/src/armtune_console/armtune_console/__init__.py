"""The operator's web app."""
