"""Model packs: manifests, fetching, building, loading."""
