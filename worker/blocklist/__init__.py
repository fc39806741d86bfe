"""People who must never be swapped: the list, and comparing faces with it."""
