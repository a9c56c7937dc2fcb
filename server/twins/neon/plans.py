"""What an organization's plan allows. Source: Neon docs, Plans (2026); names of schema BillingSubscriptionType."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    name: str
    subscription_type: str
    projects: int
    branches: int
    """Of one project; beyond `included_branches` they are billed."""
    included_branches: int
    snapshots: int
    """Of one project."""
    branch_size_mib: int
    paid: bool


PLANS = {
    plan.name: plan
    for plan in (
        Plan("free", "free_v2", 100, 10, 10, 1, 512, paid=False),
        Plan("launch", "launch", 100, 5000, 10, 10, 16 * 2**20, paid=True),
        Plan("scale", "scale", 1000, 5000, 25, 10, 16 * 2**20, paid=True),
    )
}
