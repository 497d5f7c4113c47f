"""What was done for whom: events, each written once, and later the reports made from them."""
