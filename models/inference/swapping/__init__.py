"""Who is swapped, and the swap itself: single images, and videos frame by frame."""
