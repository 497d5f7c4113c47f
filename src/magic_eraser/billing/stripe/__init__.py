"""Plans paid for at Stripe. Read `link` (requests), `reading` (what answers say) and `provider`, then the way of a
webhook: `signature`, `rows`, `inbox`, `events`.
"""
