"""Plans paid for by the month. Read `subscription` (what it is) and `changes` (how it is written), then what decides:
`wishes`, `dues`, `provider_states`, `marked_payments`; then `subscriptions`, which does it, and `renewals` (the clock).
"""
