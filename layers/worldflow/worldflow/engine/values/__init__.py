"""Values of the user's, between Python and JSON."""
