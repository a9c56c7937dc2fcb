"""Where Neon runs. Source: Neon docs, Regions (2025)."""

from __future__ import annotations

REGIONS = (
    ("aws-us-east-1", "AWS US East 1 (N. Virginia)", "38.13", "-78.45"),
    ("aws-us-east-2", "AWS US East 2 (Ohio)", "39.96", "-83.00"),
    ("aws-us-west-2", "AWS US West 2 (Oregon)", "46.15", "-123.88"),
    ("aws-eu-central-1", "AWS Europe Central 1 (Frankfurt)", "50.11", "8.68"),
    ("aws-eu-west-2", "AWS Europe West 2 (London)", "51.51", "-0.13"),
    ("aws-ap-southeast-1", "AWS Asia Pacific 1 (Singapore)", "1.37", "103.80"),
    ("aws-ap-southeast-2", "AWS Asia Pacific 2 (Sydney)", "-33.87", "151.21"),
    ("aws-sa-east-1", "AWS South America 1 (Sao Paulo)", "-23.55", "-46.63"),
)
DEFAULT_REGION = "aws-us-east-2"
