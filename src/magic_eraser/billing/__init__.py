"""Calls and money. Read `quota` (the port) and `tables`, then `calls/` (reserve, settle, release), `entries`,
`posting`, `wallets` and `ledger` (money in and out), `subscriptions/`, and last `payments` (the port) with `stripe/`.
"""
