"""Identities: registration, consent, enrolment, refinement and erasure."""
