"""The examples are run as they are written, against a whole stack."""
