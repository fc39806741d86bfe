"""Images and animations: decoding and encoding."""
