"""What survives a restart: whole files, manifests, episodes, labels."""
