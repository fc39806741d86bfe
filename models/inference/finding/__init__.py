"""Finding faces and people: detection, mesh, tracking, recognition, selection."""
