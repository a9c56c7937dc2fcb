"""The skill is what a model builds from: short, valid, and true to the starter."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SKILL = ROOT / "skills" / "backend-services"
STARTER = ROOT / "server" / "vm" / "starter"
NAMES = {
    "DATABASE_URL", "NEON_HOST", "NEON_ROLE_NAME", "NEON_ROLE_PASSWORD", "NEON_PROJECT_ID",
    "RESEND_API_KEY", "RESEND_AUDIENCE_ID", "RESEND_FROM", "MK0R_CONTACTS_URL", "MK0R_CONTACTS_TOKEN",
    "VITE_POSTHOG_KEY", "VITE_POSTHOG_HOST", "VITE_POSTHOG_APP_ID", "GITHUB_REPO", "GITHUB_REPO_URL",
    "MK0R_JOBS_TOKEN",
}  # fmt: skip


def test_the_frontmatter_names_the_skill_and_says_when_to_read_it() -> None:
    text = (SKILL / "SKILL.md").read_text()
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["name"] == SKILL.name
    assert 40 < len(head["description"]) <= 1024
    assert set(head) == {"name", "description"}
    assert len(text.splitlines()) < 500


def test_every_name_a_session_has_is_taught_and_no_other() -> None:
    taught = set(re.findall(r"\b(?:DATABASE|NEON|RESEND|MK0R|VITE_POSTHOG|GITHUB)_[A-Z_]*[A-Z]\b", _all_text()))
    assert taught == NAMES


def test_every_file_it_points_at_exists() -> None:
    for page in SKILL.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), link
    own = {"server/routes/habits.ts", "server/summary.ts"}
    for path in set(re.findall(r"`((?:src|server)/[\w./-]+\.(?:tsx?|css|mjs))`", _all_text())) - own:
        assert (STARTER / path).exists(), path


def test_every_command_it_teaches_is_a_script_of_the_starter() -> None:
    package = (STARTER / "package.json").read_text()
    for script in set(re.findall(r"npm run ([\w:]+)", _all_text())):
        assert f'"{script}":' in package


def test_no_snippet_pushes_with_a_credential_or_pushes_a_schema() -> None:
    blocks = re.findall(r"```\w*\n(.*?)```", _all_text(), re.DOTALL)
    assert blocks
    assert not [block for block in blocks if re.search(r"git push|git remote|drizzle-kit push|db:push", block)]


def _all_text() -> str:
    return "\n".join(page.read_text() for page in sorted(SKILL.rglob("*.md")))
