"""What can be said and shown of a swap before it is done."""
