"""Who calls, and what it may do. Read `principal` and `plans`, then `users`, `keys/` and `tokens/` (credentials),
`sign_in` (which joins them), `plan_files/` and `audit`.
"""
