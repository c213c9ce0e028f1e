"""What others offer for the same work, called as their documentation shows it."""
