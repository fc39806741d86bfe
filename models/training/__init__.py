"""The computed teacher, the distilled student, and their evaluation."""
