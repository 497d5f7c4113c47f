"""`/v1/admin`: the operator's. Every route needs the scope `admin`, see `guard`."""
