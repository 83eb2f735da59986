"""Published tables as data, recorded results, and the scripts that made them."""
