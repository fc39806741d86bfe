"""What browsers need: tokens and signed URLs in place of keys, and answers across origins."""
