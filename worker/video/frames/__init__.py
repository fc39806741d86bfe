"""Decoded frames made ready for swapping: upright, 8 bits, 4:2:0, in colours that are known."""
