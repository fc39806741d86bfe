"""What must be refused: sexual content and apparent minors."""
